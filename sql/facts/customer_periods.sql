-- facts.customer_periods: what a customer did in a period of $cohort_grain.
--
-- grain   customer_id, period
-- reads   facts.customer_days, facts.periods, facts.known_before
-- params  cohort_grain
--
-- customer_id             id             someone with at least one sale
-- period                  bigint         as in facts.periods; has a sale or refund
-- period_start            date           its first day
-- cohort_period           bigint         the period of the customer's first order; null
--                                        for who is known from before: no cohort
-- cohort_start            date           its first day; null likewise
-- period_index            bigint         periods since the cohort's, which is 0; null
--                                        likewise
-- is_active               boolean        has a sale
-- orders                  bigint         sales of the period
-- purchase_days           bigint         days with a sale
-- revenue                 decimal(18,2)  net of the refunds made in the period
-- previous_active_period  bigint         the latest one before with a sale; null in
--                                        the first of the history
-- next_active_period      bigint         the next one with a sale; null if none yet
-- is_complete             boolean        $as_of does not cut the period short
--
-- Idle periods are not rows: they follow from next_active_period and are filled
-- in after aggregation. Refunds before the first sale count in its period.

with

customer_days as (

    select
        customer_id,
        order_date,
        is_purchase_day,
        orders,
        net

    from facts.customer_days

),

periods as (

    select
        period,
        period_start,
        is_complete

    from facts.periods

),

known_before as (

    select customer_id

    from facts.known_before

),

days as (

    select
        customer_id,
        is_purchase_day,
        orders,
        net,
        case
            when $cohort_grain = 'day' then cast(order_date as bigint)
            -- Moved into positive numbers, where division rounds down.
            when $cohort_grain = 'week' then
                (cast(order_date as bigint) + 700003) / 7 - 100000
            when $cohort_grain = 'month' then
                cast(date_part('year', order_date) as bigint) * 12
                + cast(date_part('month', order_date) as bigint) - 1
            when $cohort_grain = 'quarter' then
                cast(date_part('year', order_date) as bigint) * 4
                + cast(date_part('quarter', order_date) as bigint) - 1
            else cast(date_part('year', order_date) as bigint)
        end as period

    from customer_days

),

activity as (

    select
        customer_id,
        period,

        max(case when is_purchase_day then period end) as active_period,
        sum(orders) as orders,
        count(case when is_purchase_day then 1 end) as purchase_days,
        sum(net) as revenue

    from days

    group by customer_id, period

),

placed as (

    select
        activity.customer_id,
        activity.period,
        periods.period_start,
        periods.is_complete,
        activity.active_period,
        activity.orders,
        activity.purchase_days,
        activity.revenue

    from activity

    inner join periods
        on activity.period = periods.period

),

-- A customer's first row is the first sale's: nothing is booked before it.
sequenced as (

    select
        *,

        min(period) over (
            partition by customer_id
            order by period
            rows between unbounded preceding and current row
        ) as first_period,
        min(period_start) over (
            partition by customer_id
            order by period
            rows between unbounded preceding and current row
        ) as first_period_start,
        lag(active_period) ignore nulls over (
            partition by customer_id
            order by period
        ) as previous_active_period,
        lead(active_period) ignore nulls over (
            partition by customer_id
            order by period
        ) as next_active_period

    from placed

),

-- A hash join holds its left side: the few who are known from before.
flagged as (

    select
        sequenced.*,
        known_before.customer_id is not null as is_known_before

    from known_before

    right join sequenced
        on known_before.customer_id = sequenced.customer_id

),

final as (

    select
        customer_id,
        period,

        period_start,
        case when not is_known_before then first_period end as cohort_period,
        case when not is_known_before then first_period_start end
            as cohort_start,
        case when not is_known_before then period - first_period end
            as period_index,
        active_period is not null as is_active,
        cast(orders as bigint) as orders,
        purchase_days,
        cast(revenue as decimal(18,2)) as revenue,
        previous_active_period,
        next_active_period,
        is_complete

    from flagged

)

select * from final
