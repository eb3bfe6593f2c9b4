-- checks.lifecycle_one_state: every customer is in exactly one state in every period.
--
-- reads   facts.customers, facts.lifecycle_activity, facts.lifecycle_days,
--         facts.lifecycle_periods, facts.lifecycle_rules, metrics.lifecycle_moments,
--         metrics.lifecycle_paths, metrics.lifecycle_spans, metrics.lifecycle_states,
--         metrics.lifecycle_transitions
-- params  none
--
-- A life is one moment after the other from the first purchase on, and no purchase is
-- left out; all who come to a moment go on from it; and what follows a moment covers
-- each period up to the next one once. So each period of a life has one state, though
-- nobody lists them.

with

customers as (

    select
        customer_id,
        first_order_date

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

    select
        period,
        period_start,
        period_end

    from facts.lifecycle_periods

),

calendar as (

    select
        max(period) as last_period

    from periods

),

moments as (

    select
        customer_id,
        period

    from metrics.lifecycle_moments

),

paths as (

    select
        period,
        rung,
        is_vip,

        sum(customers) as customers

    from metrics.lifecycle_paths

    group by period, rung, is_vip

),

rungs as (

    select
        rung,
        is_purchase

    from facts.lifecycle_rules

    where first_step = 0

),

spans as (

    select
        period,
        rung,
        is_vip,
        next_period,
        start_period,
        end_period,
        customers

    from metrics.lifecycle_spans

),

states as (

    select
        customer_id,
        state

    from metrics.lifecycle_states

),

transitions as (

    select
        period,
        to_state,
        customers

    from metrics.lifecycle_transitions

),

lives as (

    select
        customers.customer_id,
        days.period as first_period

    from facts.lifecycle_days as days

    inner join customers
        on days.day_date = customers.first_order_date

),

neighbours as (

    select
        customer_id,
        period,

        lag(period) over (
            partition by customer_id
            order by period
        ) as previous_period

    from moments

),

-- The first moment of each customer, and those that do not come after another.
begun as (

    select
        customer_id,
        case when previous_period is null then period end as first_period

    from neighbours

    where previous_period is null
        or previous_period >= period

),

misbegun as (

    select
        lives.customer_id,
        lives.first_period as period,
        'moments do not rise from the first purchase on' as problem

    from lives

    left join begun
        on lives.customer_id = begun.customer_id

    where begun.first_period is distinct from lives.first_period

),

buyers as (

    select
        period,

        count(*) as customers

    from activity

    group by period

),

buyers_asked as (

    select
        paths.period,

        sum(paths.customers) as customers

    from paths

    inner join rungs
        on paths.rung = rungs.rung
        and rungs.is_purchase

    group by paths.period

),

passed_over as (

    select
        null as customer_id,
        coalesce(buyers.period, buyers_asked.period) as period,
        'not every purchase is a moment' as problem

    from buyers

    full join buyers_asked
        on buyers.period = buyers_asked.period

    where buyers.customers is distinct from buyers_asked.customers

),

gone_on as (

    select
        period,
        rung,
        is_vip,

        sum(customers) as customers

    from spans

    where start_period = period

    group by period, rung, is_vip

),

lost_on_the_way as (

    select
        null as customer_id,
        coalesce(paths.period, gone_on.period) as period,
        'not everyone goes on from a moment' as problem

    from paths

    full join gone_on
        on paths.period = gone_on.period
        and paths.rung = gone_on.rung
        and paths.is_vip = gone_on.is_vip

    where paths.customers is distinct from gone_on.customers

),

sequenced as (

    select
        period,
        next_period,
        start_period,
        end_period,
        customers,

        lag(end_period) over way as previous_end_period,
        lag(customers) over way as previous_customers,
        lead(start_period) over way as next_start_period

    from spans

    window
        way as (
            partition by period, rung, is_vip, next_period
            order by start_period
        )

),

broken as (

    select
        null as customer_id,
        start_period as period,
        'spans overlap or leave a gap' as problem

    from sequenced

    where end_period < start_period
        or coalesce(previous_end_period + 1, period) <> start_period
        or coalesce(previous_customers, customers) <> customers
        or (next_start_period is null and end_period + 1 <> next_period)

),

-- Counted once more, from what is published.
joined as (

    select
        first_order_date,

        count(*) as customers

    from customers

    group by first_order_date

),

joined_by_period as (

    select
        periods.period,

        sum(
            case
                when joined.first_order_date <= periods.period_end
                    then joined.customers
                else 0
            end
        ) as customers

    from periods

    cross join joined

    group by periods.period

),

counted as (

    select
        period,

        sum(customers) as customers

    from transitions

    group by period

),

uncounted as (

    select
        null as customer_id,
        joined_by_period.period,
        'not as many states as customers' as problem

    from joined_by_period

    left join counted
        on joined_by_period.period = counted.period

    where counted.customers is distinct from joined_by_period.customers

),

states_by_customer as (

    select
        customer_id,

        count(*) as states

    from states

    group by customer_id

),

miscounted as (

    select
        customers.customer_id,
        null as period,
        'not in exactly one state now' as problem

    from customers

    left join states_by_customer
        on customers.customer_id = states_by_customer.customer_id

    where states_by_customer.states is distinct from 1

),

present as (

    select
        state,

        count(*) as customers

    from states

    group by state

),

last_flows as (

    select
        transitions.to_state as state,

        sum(transitions.customers) as customers

    from transitions

    inner join calendar
        on transitions.period = calendar.last_period

    group by transitions.to_state

),

misplaced as (

    select
        null as customer_id,
        null as period,
        'others are in a state than went into it' as problem

    from present

    full join last_flows
        on present.state = last_flows.state

    where present.customers is distinct from last_flows.customers

),

final as (

    select * from misbegun

    union all

    select * from passed_over

    union all

    select * from lost_on_the_way

    union all

    select * from broken

    union all

    select * from uncounted

    union all

    select * from miscounted

    union all

    select * from misplaced

)

select * from final
