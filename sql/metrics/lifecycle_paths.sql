-- metrics.lifecycle_paths: how many customers came from which moment to which?
--
-- grain   period, rung, is_vip, previous_period, previous_rung, previous_is_vip
-- reads   metrics.lifecycle_moments, metrics.lifecycle_vip
-- params  none
--
-- period           bigint         of the moment
-- rung             decimal(20,0)  its kind, as in facts.lifecycle_rules
-- is_vip           boolean        the VIP rule holds
-- previous_period  bigint         of the customer's moment before; of the first one, the period before it
-- previous_rung    decimal(20,0)  its kind; 0: no customer yet
-- previous_is_vip  boolean        the VIP rule held then
-- customers        bigint         who came this way
-- last_customers   bigint         those for whom no moment followed so far

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

judged as (

    select
        moments.customer_id,
        moments.period,
        moments.rung,
        coalesce(
            moments.is_active and moments.rolling_revenue >= bounds.vip_bound,
            false
        ) as is_vip

    from bounds

    inner join moments
        on bounds.period = moments.period

),

sequenced as (

    select
        period,
        rung,
        is_vip,

        lag(period) over customer as previous_period,
        lag(rung) over customer as previous_rung,
        lag(is_vip) over customer as previous_is_vip,
        lead(period) over customer as next_period

    from judged

    window
        customer as (
            partition by customer_id
            order by period
        )

),

final as (

    select
        period,
        rung,
        is_vip,
        coalesce(previous_period, period - 1) as previous_period,
        coalesce(previous_rung, 0) as previous_rung,
        coalesce(previous_is_vip, false) as previous_is_vip,

        count(*) as customers,
        count(case when next_period is null then 1 end) as last_customers

    from sequenced

    group by
        period,
        rung,
        is_vip,
        coalesce(previous_period, period - 1),
        coalesce(previous_rung, 0),
        coalesce(previous_is_vip, false)

)

select * from final
