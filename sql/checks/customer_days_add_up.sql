-- checks.customer_days_add_up: the days of all customers hold their orders and money.
--
-- reads   facts.customer_days, facts.customers
-- params  none

with

parts as (

    select
        coalesce(sum(orders), 0) as orders,
        count(case when is_purchase_day then 1 end) as purchase_days,
        coalesce(sum(refunds), 0) as refunds,
        coalesce(sum(net), 0) as net,
        coalesce(sum(cost), 0) as cost

    from facts.customer_days

),

customers as (

    select
        coalesce(sum(orders), 0) as orders,
        coalesce(sum(purchase_days), 0) as purchase_days,
        coalesce(sum(refunds), 0) as refunds,
        coalesce(sum(net), 0) as net,
        coalesce(sum(cost), 0) as cost

    from facts.customers

)

select
    parts.orders as day_orders,
    customers.orders,
    parts.purchase_days as day_purchase_days,
    customers.purchase_days,
    parts.refunds as day_refunds,
    customers.refunds,
    parts.net as day_net,
    customers.net,
    parts.cost as day_cost,
    customers.cost

from parts

cross join customers

where parts.orders <> customers.orders
    or parts.purchase_days <> customers.purchase_days
    or parts.refunds <> customers.refunds
    or parts.net <> customers.net
    or parts.cost <> customers.cost
