-- metrics.lifecycle_vip: from which revenue on is an active customer a VIP?
--
-- grain   period
-- reads   metrics.lifecycle_spans
-- params  vip_amount, vip_quantile
--
-- period     bigint         a period at whose end somebody is active
-- vip_bound  decimal(26,8)  $vip_amount; else the $vip_quantile (type 7) of the
--                           rolling_revenue of the period's active
--
-- Everyone at the bound is in, so equal customers are treated alike and a single
-- active customer is a VIP.

with

candidates as (

    select
        start_period as period,
        rolling_revenue

    from metrics.lifecycle_spans

    where state = 'active'

),

histogram as (

    select
        period,
        rolling_revenue,

        count(*) as customers

    from candidates

    group by period, rolling_revenue

),

running as (

    select
        *,

        sum(customers) over (
            partition by period
            order by rolling_revenue
            rows between unbounded preceding and current row
        ) as end_position,
        sum(customers) over (
            partition by period
            order by rolling_revenue
            rows between unbounded preceding and unbounded following
        ) as population

    from histogram

),

placed as (

    select
        period,
        rolling_revenue,
        end_position,
        (population - 1) * cast($vip_quantile as decimal(9,6)) as target

    from running

),

positions as (

    select
        period,
        rolling_revenue,
        end_position,
        cast(floor(target) as bigint) as position,
        cast(target - floor(target) as decimal(9,6)) as weight

    from placed

),

-- Interpolated between the customers at `position` and next to it.
bounds as (

    select
        period,

        min(case when end_position > position then rolling_revenue end)
        * (1 - max(weight))
        + coalesce(
            min(case when end_position > position + 1 then rolling_revenue end)
            * max(weight),
            0
        ) as bound

    from positions

    group by period

),

final as (

    select
        period,

        cast(coalesce($vip_amount, bound) as decimal(26,8)) as vip_bound

    from bounds

)

select * from final
