-- facts.lifecycle_activity: what a customer did in a period of $lifecycle_grain.
--
-- grain   customer_id, period
-- reads   facts.customer_days, facts.lifecycle_days
-- params  none
--
-- customer_id            id             someone with at least one sale
-- period                 bigint         as in facts.lifecycle_periods; has a sale or a
--                                       refund
-- is_active              boolean        has a sale
-- purchase_days          bigint         days with a sale in the period
-- purchase_days_to_date  bigint         those up to the period's end, and one more for
--                                       who is known from before
-- revenue                decimal(18,2)  net of the refunds made in the period
-- next_active_period     bigint         the next one with a sale; null if none yet
--
-- facts.customer_periods tells the same by $cohort_grain; the two grains move
-- apart, so each has its table.

with

customer_days as (

    select
        customer_id,
        order_date,
        is_purchase_day,
        purchase_day_number,
        net

    from facts.customer_days

),

calendar as (

    select
        day_date,
        period

    from facts.lifecycle_days

),

days as (

    select
        customer_days.customer_id,
        calendar.period,
        customer_days.is_purchase_day,
        customer_days.purchase_day_number,
        customer_days.net

    from calendar

    inner join customer_days
        on calendar.day_date = customer_days.order_date

),

activity as (

    select
        customer_id,
        period,

        max(case when is_purchase_day then period end) as active_period,
        count(case when is_purchase_day then 1 end) as purchase_days,
        max(purchase_day_number) as purchase_days_to_date,
        sum(net) as revenue

    from days

    group by customer_id, period

),

sequenced as (

    select
        *,

        lead(active_period) ignore nulls over (
            partition by customer_id
            order by period
        ) as next_active_period

    from activity

),

final as (

    select
        customer_id,
        period,

        active_period is not null as is_active,
        purchase_days,
        purchase_days_to_date,
        cast(revenue as decimal(18,2)) as revenue,
        next_active_period

    from sequenced

)

select * from final
