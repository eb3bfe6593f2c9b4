-- metrics.lifecycle_rolling: what have the active customers brought of late?
--
-- grain   customer_id, period
-- reads   metrics.lifecycle_spans, facts.lifecycle_activity
-- params  vip_periods
--
-- customer_id         id             who
-- period              bigint         a period at whose end the customer is active
-- last_active_period  bigint         the latest period with a purchase
-- rolling_revenue     decimal(18,2)  net of the $vip_periods up to this one

with

spans as (

    select
        customer_id,
        start_period,
        end_period,
        last_active_period

    from metrics.lifecycle_spans

    where state = 'active'

),

-- Blocks of $vip_periods: what counts for a period lies in its block or the one
-- before, so no customer is joined over a whole life.
activity as (

    select
        customer_id,
        period,
        revenue,
        unnest(
            make_array(period / $vip_periods, period / $vip_periods + 1)
        ) as block

    from facts.lifecycle_activity

),

active_periods as (

    select
        customer_id,
        last_active_period,
        unnest(range(start_period, end_period + 1)) as period

    from spans

),

final as (

    select
        active_periods.customer_id,
        active_periods.period,

        active_periods.last_active_period,
        cast(coalesce(sum(activity.revenue), 0) as decimal(18,2))
            as rolling_revenue

    from active_periods

    left join activity
        on active_periods.customer_id = activity.customer_id
        and active_periods.period / $vip_periods = activity.block
        and active_periods.period >= activity.period
        and active_periods.period < activity.period + $vip_periods

    group by
        active_periods.customer_id,
        active_periods.period,
        active_periods.last_active_period

)

select * from final
