-- checks.cohorts_add_up: the cohorts hold every customer once, with all their money.
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
        coalesce(sum(revenue), 0) as revenue

    from metrics.cohort_retention

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
    customers.customers,
    cohorts.orders as cohort_orders,
    customers.orders,
    cohorts.revenue as cohort_revenue,
    customers.revenue

from cohorts

cross join customers

where cohorts.customers <> customers.customers
    or cohorts.orders <> customers.orders
    or cohorts.revenue <> customers.revenue
