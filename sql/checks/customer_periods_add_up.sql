-- checks.customer_periods_add_up: the periods of all customers hold their orders and money.
--
-- reads   facts.customer_periods, facts.customers
-- params  none

with

parts as (

    select
        coalesce(sum(orders), 0) as orders,
        coalesce(sum(purchase_days), 0) as purchase_days,
        coalesce(sum(revenue), 0) as revenue

    from facts.customer_periods

),

customers as (

    select
        coalesce(sum(orders), 0) as orders,
        coalesce(sum(purchase_days), 0) as purchase_days,
        coalesce(sum(net), 0) as revenue

    from facts.customers

)

select
    parts.orders as period_orders,
    customers.orders,
    parts.purchase_days as period_purchase_days,
    customers.purchase_days,
    parts.revenue as period_revenue,
    customers.revenue

from parts

cross join customers

where parts.orders <> customers.orders
    or parts.purchase_days <> customers.purchase_days
    or parts.revenue <> customers.revenue
