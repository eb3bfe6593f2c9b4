-- checks.cohorts_add_up: the cohorts and those known from before hold every customer
-- once, with all their money.
--
-- reads   metrics.cohort_retention, facts.customers
-- params  none

with

cohorts as (

    select
        coalesce(
            sum(case when period_index = 0 then cohort_customers end), 0
        ) as customers,
        coalesce(sum(orders), 0) as orders,
        coalesce(sum(revenue), 0) as revenue,
        coalesce(sum(order_revenue), 0) as order_revenue

    from metrics.cohort_retention

),

known_before as (

    select
        count(*) as customers,
        coalesce(sum(orders), 0) as orders,
        coalesce(sum(net), 0) as revenue

    from facts.customers

    where is_known_before

),

customers as (

    select
        count(*) as customers,
        coalesce(sum(orders), 0) as orders,
        coalesce(sum(net), 0) as revenue

    from facts.customers

)

select
    cohorts.customers as cohort_customers,
    known_before.customers as known_before_customers,
    customers.customers,
    cohorts.orders as cohort_orders,
    known_before.orders as known_before_orders,
    customers.orders,
    cohorts.revenue as cohort_revenue,
    cohorts.order_revenue as cohort_order_revenue,
    known_before.revenue as known_before_revenue,
    customers.revenue

from cohorts

cross join known_before

cross join customers

where cohorts.customers + known_before.customers <> customers.customers
    or cohorts.orders + known_before.orders <> customers.orders
    or cohorts.revenue + known_before.revenue <> customers.revenue
    or cohorts.order_revenue <> cohorts.revenue
