-- facts.cohort_activity: what the customers won in a period did in a later one.
--
-- grain   cohort_period, period
-- reads   facts.customer_periods, facts.moved_refunds
-- params  none
--
-- cohort_period       bigint         the period of the customer's first order
-- period              bigint         one with a sale or a refund of such a customer
-- active_customers    bigint         those with an order in the period
-- repeat_customers    bigint         with two or more orders within it
-- buy_back_customers  bigint         with an order in the period before it too
-- orders              bigint         their orders
-- revenue             decimal(18,2)  net of the refunds made in the period
-- order_revenue       decimal(18,2)  net of the orders of the period, whenever their
--                                    refunds came
--
-- Counted once for all that asks about cohorts or about periods. Who is known from
-- before is in no cohort.

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

    where cohort_period is not null

),

moved_refunds as (

    select
        cohort_period,
        period,

        sum(moved) as moved

    from facts.moved_refunds

    group by cohort_period, period

),

activity as (

    select
        cohort_period,
        period,

        count(case when is_active then 1 end) as active_customers,
        count(case when orders > 1 then 1 end) as repeat_customers,
        count(
            case when is_active and previous_active_period = period - 1 then 1 end
        ) as buy_back_customers,
        sum(orders) as orders,
        sum(revenue) as revenue

    from customer_periods

    group by cohort_period, period

),

final as (

    select
        activity.cohort_period,
        activity.period,

        activity.active_customers,
        activity.repeat_customers,
        activity.buy_back_customers,
        activity.orders,
        cast(activity.revenue as decimal(18,2)) as revenue,
        cast(
            activity.revenue + coalesce(moved_refunds.moved, 0) as decimal(18,2)
        ) as order_revenue

    from activity

    left join moved_refunds
        on activity.cohort_period = moved_refunds.cohort_period
        and activity.period = moved_refunds.period

)

select * from final
