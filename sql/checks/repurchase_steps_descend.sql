-- checks.repurchase_steps_descend: a step loses customers, never gains any, and the
-- steps together hold all orders of those whose first order is known.
--
-- reads   metrics.repurchase_steps, facts.customers
-- params  none

with

steps as (

    select
        order_number,
        customers,
        eligible_customers,
        converted_customers,

        lead(customers) over (order by order_number) as next_customers,
        sum(customers) over () as all_orders

    from metrics.repurchase_steps

),

customers as (

    select
        count(*) as customers,
        sum(orders) as orders

    from facts.customers

    where not is_known_before

)

select
    steps.*,
    customers.customers as all_customers,
    customers.orders as expected_orders

from steps

cross join customers

where steps.converted_customers > steps.eligible_customers
    or steps.eligible_customers > steps.customers
    or steps.next_customers > steps.customers
    or steps.converted_customers > coalesce(steps.next_customers, 0)
    or (steps.order_number = 1 and steps.customers <> customers.customers)
    or steps.all_orders <> customers.orders
