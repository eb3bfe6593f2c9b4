-- metrics.lifecycle_paths: how many customers came from which moment to which?
--
-- grain   moment, previous_moment
-- reads   metrics.lifecycle_moments, metrics.lifecycle_vip, facts.lifecycle_rules
-- params  none
--
-- moment           bigint   period, rung and is_vip in one number
-- previous_moment  bigint   the same of the customer's moment before; of the first
--                           one: no customer yet, in the period before it
-- period           bigint   of the moment
-- rung             bigint   its kind, as in facts.lifecycle_rules
-- is_vip           boolean  the VIP rule holds
-- state            text     new, active, vip, dormant or lost
-- previous_period  bigint   of the moment before
-- previous_rung    bigint   its kind; 0: no customer yet
-- previous_is_vip  boolean  the VIP rule held then
-- from_state       text     at the end of the period before the moment, to which the
--                           moment before has led; none: not a customer yet
-- customers        bigint   who came this way
-- last_customers   bigint   those for whom no moment followed so far

with

moments as (

    select
        customer_id,
        period,
        rung,
        is_active,
        rolling_revenue

    from metrics.lifecycle_moments

),

bounds as (

    select
        period,
        vip_bound

    from metrics.lifecycle_vip

),

rules as (

    select
        rung,
        first_step,
        last_step,
        state

    from facts.lifecycle_rules

),

-- One number for what tells moments apart: groups by two numbers take a third of
-- the time of groups by six columns.
judged as (

    select
        moments.customer_id,
        moments.period,
        (moments.period + 1000000) * 1000000
        + moments.rung * 2
        + case
            when moments.is_active
                and moments.rolling_revenue >= bounds.vip_bound
                then 1
            else 0
        end as moment

    from bounds

    inner join moments
        on bounds.period = moments.period

),

sequenced as (

    select
        moment,

        lag(moment) over customer as previous_moment,
        lead(moment) over customer as next_moment

    from judged

    window
        customer as (
            partition by customer_id
            order by period
        )

),

counted as (

    select
        moment,
        previous_moment,

        count(*) as customers,
        count(*) - count(next_moment) as last_customers

    from sequenced

    group by moment, previous_moment

),

paths as (

    select
        moment,
        coalesce(previous_moment, (moment / 1000000 - 1) * 1000000)
            as previous_moment,
        customers,
        last_customers

    from counted

),

told as (

    select
        *,
        moment / 1000000 - 1000000 as period,
        moment % 1000000 / 2 as rung,
        moment % 2 = 1 as is_vip,
        previous_moment / 1000000 - 1000000 as previous_period,
        previous_moment % 1000000 / 2 as previous_rung,
        previous_moment % 2 = 1 as previous_is_vip

    from paths

),

final as (

    select
        told.moment,
        told.previous_moment,

        told.period,
        told.rung,
        told.is_vip,
        case when told.is_vip then 'vip' else rules.state end as state,
        told.previous_period,
        told.previous_rung,
        told.previous_is_vip,
        case
            when told.previous_is_vip and previous_rules.first_step = 0
                then 'vip'
            else previous_rules.state
        end as from_state,
        told.customers,
        told.last_customers

    from told

    inner join rules
        on told.rung = rules.rung
        and rules.first_step = 0

    inner join rules as previous_rules
        on told.previous_rung = previous_rules.rung
        and told.period - 1 - told.previous_period
        between previous_rules.first_step and previous_rules.last_step

)

select * from final
