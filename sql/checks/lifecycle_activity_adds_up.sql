-- checks.lifecycle_activity_adds_up: the lifecycle periods of all customers hold their money.
--
-- reads   facts.lifecycle_activity, facts.customers
-- params  none

with

parts as (

    select
        coalesce(sum(purchase_days), 0) as purchase_days,
        coalesce(sum(revenue), 0) as revenue

    from facts.lifecycle_activity

),

customers as (

    select
        coalesce(sum(purchase_days), 0) as purchase_days,
        coalesce(sum(net), 0) as revenue

    from facts.customers

)

select
    parts.purchase_days as period_purchase_days,
    customers.purchase_days,
    parts.revenue as period_revenue,
    customers.revenue

from parts

cross join customers

where parts.purchase_days <> customers.purchase_days
    or parts.revenue <> customers.revenue
