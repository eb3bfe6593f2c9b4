-- metrics.lifecycle_spans: from when to when does each state hold, before the VIP
-- rule, and what did the customer bring of late?
--
-- grain   customer_id, start_period
-- reads   facts.lifecycle_activity, facts.lifecycle_periods, facts.lifecycle_rules
-- params  vip_periods
--
-- customer_id         id             who
-- start_period        bigint         first period at whose end the state holds
-- end_period          bigint         last one so far; of the active, the same one
-- state               text           new, active, dormant or lost, by
--                                    rules.lifecycle
-- last_active_period  bigint         the latest period with a purchase
-- rolling_revenue     decimal(18,2)  net of the $vip_periods up to start_period
--
-- A purchase opens a span for each state that the idle periods up to the next
-- purchase lead through, however long the gap. A period that $as_of cuts short is
-- no idle one, so it prolongs the state before it.

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

rules as (

    select
        purchase_days,
        state,
        at_least,
        is_prolonging,
        is_single,
        below

    from facts.lifecycle_rules

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
        activity.next_active_period is null as is_open,
        calendar.last_period,
        case
            when activity.next_active_period is not null
                then activity.next_active_period - 1 - activity.period
            when calendar.last_complete_period > activity.period
                then calendar.last_complete_period - activity.period
            else 0
        end as last_idle_periods

    from activity

    cross join calendar

),

ruled as (

    select
        gaps.customer_id,
        gaps.period,
        gaps.is_open,
        gaps.last_period,
        gaps.last_idle_periods,
        rules.state,
        rules.is_prolonging,
        rules.is_single,
        rules.at_least as first_idle_periods,
        least(rules.below - 1, gaps.last_idle_periods) as final_idle_periods,
        gaps.revenue

    from gaps

    inner join rules
        on gaps.purchase_days = rules.purchase_days
        and gaps.last_idle_periods >= rules.at_least
        and (
            not rules.is_prolonging
            or (
                gaps.is_open
                and gaps.last_idle_periods = rules.at_least
                and gaps.last_period > gaps.period + gaps.last_idle_periods
            )
        )

),

spans as (

    select
        customer_id,
        case
            when is_prolonging then last_period
            else period + first_idle_periods
        end as start_period,
        case
            when is_prolonging
                or (
                    is_open
                    and not is_single
                    and final_idle_periods = last_idle_periods
                )
                then last_period
            else period + final_idle_periods
        end as end_period,
        state,
        period as last_active_period,
        case
            when first_idle_periods = 0 and not is_prolonging then revenue
            else cast(0 as decimal(18,2))
        end as revenue

    from ruled

    where first_idle_periods <= final_idle_periods

),

summed as (

    select
        customer_id,
        start_period,
        end_period,
        state,
        last_active_period,
        sum(revenue) over (
            partition by customer_id
            order by start_period
            range between $vip_periods - 1 preceding and current row
        ) as rolling_revenue

    from spans

),

final as (

    select
        customer_id,
        start_period,

        end_period,
        state,
        last_active_period,
        cast(rolling_revenue as decimal(18,2)) as rolling_revenue

    from summed

    where state <> 'none'

)

select * from final
