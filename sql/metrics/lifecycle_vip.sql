-- metrics.lifecycle_vip: which of the active customers are VIPs, period by period?
--
-- grain   customer_id, period
-- reads   metrics.lifecycle_rolling
-- params  vip_amount, vip_quantile
--
-- customer_id         id             who
-- period              bigint         a period at whose end the customer is active
-- last_active_period  bigint         the latest period with a purchase
-- rolling_revenue     decimal(18,2)  net of the $vip_periods up to this one
-- vip_bound           decimal(26,8)  what makes a VIP: $vip_amount; else the
--                                    $vip_quantile (type 7) of the period's active
-- is_vip              boolean        rolling_revenue >= vip_bound
--
-- Everyone at the bound is in, so equal customers are treated alike and a single
-- active customer is a VIP.

with

candidates as (

    select
        customer_id,
        period,
        last_active_period,
        rolling_revenue

    from metrics.lifecycle_rolling

),

histogram as (

    select
        period,
        rolling_revenue,

        count(*) as customers

    from candidates

    where $vip_amount is null

    group by period, rolling_revenue

),

running as (

    select
        *,

        sum(customers) over (
            partition by period
            order by rolling_revenue
            rows between unbounded preceding and current row
        ) as end_position

    from histogram

),

targets as (

    select
        period,

        (sum(customers) - 1) * cast($vip_quantile as decimal(9,6)) as target

    from histogram

    group by period

),

positions as (

    select
        period,
        cast(floor(target) as bigint) as position,
        cast(target - floor(target) as decimal(9,6)) as weight

    from targets

),

-- Interpolated between the customers at `position` and next to it.
bounds as (

    select
        positions.period,

        min(
            case
                when running.end_position > positions.position
                    then running.rolling_revenue
            end
        ) * (1 - max(positions.weight))
        + coalesce(
            min(
                case
                    when running.end_position > positions.position + 1
                        then running.rolling_revenue
                end
            ) * max(positions.weight),
            0
        ) as bound

    from running

    inner join positions
        on running.period = positions.period

    group by positions.period

),

bounded as (

    select
        candidates.*,
        cast(coalesce($vip_amount, bounds.bound) as decimal(26,8)) as vip_bound

    from candidates

    left join bounds
        on candidates.period = bounds.period

),

final as (

    select
        customer_id,
        period,

        last_active_period,
        rolling_revenue,
        vip_bound,
        rolling_revenue >= vip_bound as is_vip

    from bounded

)

select * from final
