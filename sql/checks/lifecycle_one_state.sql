-- checks.lifecycle_one_state: every customer is in exactly one state in every period.
--
-- reads   facts.customers, facts.lifecycle_activity, facts.lifecycle_periods, metrics.lifecycle_runs, metrics.lifecycle_states
-- params  none

with

customers as (

    select customer_id

    from facts.customers

),

activity as (

    select
        customer_id,
        period

    from facts.lifecycle_activity

    where is_active

),

periods as (

    select period

    from facts.lifecycle_periods

),

runs as (

    select
        customer_id,
        start_period,
        end_period

    from metrics.lifecycle_runs

),

states as (

    select
        customer_id,

        count(*) as states

    from metrics.lifecycle_states

    group by customer_id

),

calendar as (

    select
        max(period) as last_period

    from periods

),

lives as (

    select
        customer_id,

        min(period) as first_period

    from activity

    group by customer_id

),

-- Runs that start with the first purchase, follow each other and end with the
-- last period cover each period once.
sequenced as (

    select
        customer_id,
        start_period,
        end_period,

        lead(start_period) over (
            partition by customer_id
            order by start_period
        ) as next_start_period

    from runs

),

broken as (

    select
        sequenced.customer_id,
        'runs overlap or leave a gap' as problem

    from sequenced

    cross join calendar

    where sequenced.end_period < sequenced.start_period
        or coalesce(sequenced.next_start_period, calendar.last_period + 1)
        <> sequenced.end_period + 1

),

begun as (

    select
        customer_id,

        min(start_period) as start_period

    from runs

    group by customer_id

),

misbegun as (

    select
        lives.customer_id,
        'runs do not start with the first purchase' as problem

    from lives

    left join begun
        on lives.customer_id = begun.customer_id

    where begun.start_period is distinct from lives.first_period

),

miscounted as (

    select
        customers.customer_id,
        'not in exactly one state now' as problem

    from customers

    left join states
        on customers.customer_id = states.customer_id

    where states.states is null
        or states.states <> 1

),

final as (

    select * from broken

    union all

    select * from misbegun

    union all

    select * from miscounted

)

select * from final
