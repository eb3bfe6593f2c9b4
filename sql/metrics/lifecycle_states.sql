-- metrics.lifecycle_states: where in the life of a customer does everyone stand?
--
-- grain   customer_id
-- reads   metrics.lifecycle_moments, metrics.lifecycle_vip,
--         metrics.lifecycle_presents
-- params  none
--
-- customer_id         id      everyone who ever bought
-- state               text    new, active, vip, dormant or lost at the end of the last
--                             period
-- state_before        text    at the end of the one before; none: not a customer yet
-- since_date          date    first day of the period since which the state holds
--                             without a break
-- last_active_period  bigint  the latest period with a purchase
-- last_active_start   date    its first day
-- idle_periods        bigint  complete periods since then
--
-- The last period is the one $as_of lies in. Where $as_of cuts it short it can
-- promote, but it is no idle one.

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

presents as (

    select
        moment,
        previous_moment,
        entry_date,
        state,
        state_before,
        since_date,
        last_active_period,
        last_active_start,
        idle_periods

    from metrics.lifecycle_presents

),

neighbours as (

    select
        *,

        lag(period) over (
            partition by customer_id
            order by period
        ) as previous_period

    from moments

),

-- Idle periods do not lead to an active state: to be active after them is a change,
-- and nothing before the latest such change matters, but the moment before it, from
-- which it comes.
bounded as (

    select
        *,

        max(
            case
                when previous_period is null then period
                when is_active and previous_period < period - 1
                    then previous_period
            end
        ) over (
            partition by customer_id
            order by period
            rows between unbounded preceding and unbounded following
        ) as first_period

    from neighbours

),

-- Each period has its bound. Of an inner join the planner would expect as few rows as
-- there are bounds, and then hold the customers when they meet the ways.
judged as (

    select
        bounded.customer_id,
        bounded.period,
        (bounded.period + 1000000) * 1000000
        + bounded.rung * 2
        + case
            when bounded.is_active
                and bounded.rolling_revenue >= bounds.vip_bound
                then 1
            else 0
        end as moment

    from bounded

    left join bounds
        on bounded.period = bounds.period

    where bounded.period >= bounded.first_period

),

sequenced as (

    select
        customer_id,
        period,
        moment,

        coalesce(
            lag(moment) over customer, (moment / 1000000 - 1) * 1000000
        ) as previous_moment,
        lead(moment) over customer is null as is_last

    from judged

    window
        customer as (
            partition by customer_id
            order by period
        )

),

-- A hash join holds its left side: the few ways there are, not the customers.
told as (

    select
        sequenced.customer_id,
        sequenced.period,
        sequenced.is_last,
        presents.entry_date,
        presents.state,
        presents.state_before,
        presents.since_date,
        presents.last_active_period,
        presents.last_active_start,
        presents.idle_periods

    from presents

    inner join sequenced
        on presents.moment = sequenced.moment
        and presents.previous_moment = sequenced.previous_moment

),

entered as (

    select
        *,

        max(entry_date) over (
            partition by customer_id
            order by period
            rows between unbounded preceding and current row
        ) as latest_entry_date

    from told

),

final as (

    select
        customer_id,

        state,
        state_before,
        coalesce(since_date, latest_entry_date) as since_date,
        last_active_period,
        last_active_start,
        idle_periods

    from entered

    where is_last

)

select * from final
