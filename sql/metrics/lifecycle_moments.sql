-- metrics.lifecycle_moments: when is each customer's state asked for, and what did
-- the customer bring of late?
--
-- grain   customer_id, period
-- reads   facts.lifecycle_activity, facts.lifecycle_periods, facts.lifecycle_rules
-- params  vip_periods
--
-- customer_id      id             who
-- period           bigint         one with a purchase, or a later one at whose end the
--                                 customer is active, too
-- rung             bigint         the kind of moment, as in facts.lifecycle_rules
-- is_active        boolean        the state is active, or vip
-- rolling_revenue  decimal(18,2)  net of the $vip_periods up to the period
--
-- What lies between two moments follows from facts.lifecycle_rules, however long it
-- is: it is counted first and followed afterwards.

with

activity as (

    select
        customer_id,
        period,
        is_active,
        purchase_days_to_date,
        revenue,
        next_active_period

    from facts.lifecycle_activity

),

calendar as (

    select
        max(period) as last_period,
        max(case when is_complete then period end) as last_complete_period

    from facts.lifecycle_periods

),

rungs as (

    select
        rung,
        purchase_days,
        idle_periods,
        is_prolonging,
        idle_periods = 0 and not is_prolonging as is_own_period,
        state = 'active' as is_active

    from facts.lifecycle_rules

    where first_step = 0

),

-- Idle periods run from 0 in the period of the purchase to last_idle_periods.
gaps as (

    select
        activity.customer_id,
        activity.period,
        activity.revenue,
        case
            when activity.is_active
                then least(activity.purchase_days_to_date, 2)
            else 0
        end as purchase_days,
        calendar.last_period,
        greatest(
            coalesce(
                activity.next_active_period - 1,
                calendar.last_complete_period,
                activity.period
            ) - activity.period,
            0
        ) as last_idle_periods,
        activity.next_active_period is null
        and calendar.last_complete_period >= activity.period
        and calendar.last_complete_period < calendar.last_period
            as is_prolonged

    from activity

    cross join calendar

),

moments as (

    select
        gaps.customer_id,
        case
            when rungs.is_prolonging then gaps.last_period
            else gaps.period + rungs.idle_periods
        end as period,
        rungs.rung,
        rungs.is_active,
        case
            when rungs.is_own_period then gaps.revenue
            else cast(0 as decimal(18,2))
        end as revenue

    from gaps

    inner join rungs
        on gaps.purchase_days = rungs.purchase_days
        and gaps.last_idle_periods >= rungs.idle_periods
        and (
            not rungs.is_prolonging
            or (
                gaps.is_prolonged
                and gaps.last_idle_periods = rungs.idle_periods
            )
        )

),

summed as (

    select
        *,

        sum(revenue) over (
            partition by customer_id
            order by period
            range between $vip_periods - 1 preceding and current row
        ) as rolling_revenue

    from moments

),

-- Of a period without a purchase only its money counts.
final as (

    select
        customer_id,
        period,

        rung,
        is_active,
        cast(rolling_revenue as decimal(18,2)) as rolling_revenue

    from summed

    where rung > 0

)

select * from final
