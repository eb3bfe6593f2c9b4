-- facts.cohort_activity: what the customers won in a period did in a later one.
--
-- grain   cohort_period, period
-- reads   facts.customer_periods
-- params  none
--
-- cohort_period       bigint         the period of the customer's first order
-- period              bigint         one with a sale or a refund of such a customer
-- active_customers    bigint         those with an order in the period
-- repeat_customers    bigint         with two or more orders within it
-- buy_back_customers  bigint         with an order in the period before it too
-- orders              bigint         their orders
-- revenue             decimal(18,2)  net of the refunds made in the period
--
-- Counted once for all that asks about cohorts or about periods.

with

customer_periods as (

    select
        period,
        cohort_period,
        is_active,
        orders,
        revenue,
        previous_active_period

    from facts.customer_periods

),

final as (

    select
        cohort_period,
        period,

        count(case when is_active then 1 end) as active_customers,
        count(case when orders > 1 then 1 end) as repeat_customers,
        count(
            case when is_active and previous_active_period = period - 1 then 1 end
        ) as buy_back_customers,
        sum(orders) as orders,
        cast(sum(revenue) as decimal(18,2)) as revenue

    from customer_periods

    group by cohort_period, period

)

select * from final
