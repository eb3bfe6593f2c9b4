-- metrics.lifecycle_paths: how many customers came from which moment to which?
--
-- grain   period, rung, is_vip, previous_period, previous_rung, previous_is_vip
-- reads   metrics.lifecycle_moments, metrics.lifecycle_vip
-- params  none
--
-- period           bigint   of the moment
-- rung             bigint   its kind, as in facts.lifecycle_rules
-- is_vip           boolean  the VIP rule holds
-- previous_period  bigint   of the customer's moment before; of the first one, the
--                           period before it
-- previous_rung    bigint   its kind; 0: no customer yet
-- previous_is_vip  boolean  the VIP rule held then
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

final as (

    select
        moment / 1000000 - 1000000 as period,
        moment % 1000000 / 2 as rung,
        moment % 2 = 1 as is_vip,
        coalesce(previous_moment, moment - 1000000) / 1000000 - 1000000
            as previous_period,
        coalesce(previous_moment % 1000000 / 2, 0) as previous_rung,
        coalesce(previous_moment % 2 = 1, false) as previous_is_vip,

        customers,
        last_customers

    from counted

)

select * from final
