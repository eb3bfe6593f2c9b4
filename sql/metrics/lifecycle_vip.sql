-- metrics.lifecycle_vip: from which revenue on is an active customer a VIP?
--
-- grain   period
-- reads   metrics.lifecycle_moments, facts.lifecycle_periods
-- params  vip_amount, vip_quantile
--
-- period     bigint         as in facts.lifecycle_periods
-- vip_bound  decimal(26,8)  $vip_amount; else the $vip_quantile (type 7) of the
--                           rolling_revenue of the period's active; null if nobody
--                           is active
--
-- Everyone at the bound is in, so equal customers are treated alike and a single
-- active customer is a VIP.

with

periods as (

    select period

    from facts.lifecycle_periods

),

-- Buckets of revenue, wider the more it is: a root is exact to the last bit, so
-- who has more is never in a bucket below. Who brought nothing, or less, is in the
-- lowest. A bound that is given needs none.
candidates as (

    select
        period,
        rolling_revenue,
        cast(
            case
                when rolling_revenue > 0
                    then 8 * sqrt(sqrt(cast(rolling_revenue as double)))
                else 0
            end as bigint
        ) as bucket

    from metrics.lifecycle_moments

    where is_active
        and $vip_amount is null

),

buckets as (

    select
        period,
        bucket,

        count(*) as customers

    from candidates

    group by period, bucket

),

counted as (

    select
        *,

        sum(customers) over (
            partition by period
            order by bucket
            rows between unbounded preceding and current row
        ) as end_position,
        sum(customers) over (
            partition by period
            order by bucket
            rows between unbounded preceding and unbounded following
        ) as population

    from buckets

),

aimed as (

    select
        period,
        bucket,
        end_position - customers as begin_position,
        end_position,
        (population - 1) * cast($vip_quantile as decimal(9,6)) as target

    from counted

),

-- The quantile lies between the customers at floor(target) and next to it: only
-- their buckets are put in order.
wanted as (

    select
        period,
        bucket,
        begin_position,
        target

    from aimed

    where begin_position <= floor(target) + 1
        and end_position > floor(target)

),

histogram as (

    select
        wanted.period,
        wanted.bucket,
        candidates.rolling_revenue,

        max(wanted.begin_position) as begin_position,
        max(wanted.target) as target,
        count(*) as customers

    from candidates

    inner join wanted
        on candidates.period = wanted.period
        and candidates.bucket = wanted.bucket

    group by wanted.period, wanted.bucket, candidates.rolling_revenue

),

placed as (

    select
        period,
        rolling_revenue,
        begin_position + sum(customers) over (
            partition by period, bucket
            order by rolling_revenue
            rows between unbounded preceding and current row
        ) as end_position,
        target

    from histogram

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
        periods.period,

        cast(coalesce($vip_amount, bounds.bound) as decimal(26,8)) as vip_bound

    from periods

    left join bounds
        on periods.period = bounds.period

)

select * from final
