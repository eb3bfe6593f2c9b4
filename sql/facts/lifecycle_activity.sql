-- facts.lifecycle_activity: what a customer did in a period of $lifecycle_grain.
--
-- grain   customer_id, period
-- reads   facts.customer_days
-- params  lifecycle_grain
--
-- customer_id            id             someone with at least one sale
-- period                 bigint         as in facts.lifecycle_periods; has a sale
--                                       or a refund
-- first_period           bigint         the period of the customer's first order
-- is_active              boolean        has a sale
-- purchase_days          bigint         days with a sale in the period
-- purchase_days_to_date  bigint         those up to the period's end
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

days as (

    select
        customer_id,
        is_purchase_day,
        purchase_day_number,
        net,
        case $lifecycle_grain
            when 'day' then cast(order_date as bigint)
            -- Moved into positive numbers, where division rounds down.
            when 'week' then
                (cast(order_date as bigint) + 700003) / 7 - 100000
            when 'month' then
                cast(date_part('year', order_date) as bigint) * 12
                + cast(date_part('month', order_date) as bigint) - 1
            when 'quarter' then
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
        count(case when is_purchase_day then 1 end) as purchase_days,
        max(purchase_day_number) as purchase_days_to_date,
        sum(net) as revenue

    from days

    group by customer_id, period

),

sequenced as (

    select
        *,

        min(period) over (
            partition by customer_id
            order by period
            rows between unbounded preceding and current row
        ) as first_period,
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

        first_period,
        active_period is not null as is_active,
        purchase_days,
        purchase_days_to_date,
        cast(revenue as decimal(18,2)) as revenue,
        next_active_period

    from sequenced

)

select * from final
