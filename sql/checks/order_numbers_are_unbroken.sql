-- checks.order_numbers_are_unbroken: a customer's orders are numbered 1, 2, 3 …, or
-- 2, 3, 4 … if the customer bought before the history begins.
--
-- reads   facts.orders
-- params  none

with

customers as (

    select
        customer_id,

        count(*) as orders,
        max(case when is_known_before then 1 else 0 end) as earlier_orders,
        min(order_number) as first_number,
        max(order_number) as last_number,
        max(purchase_day_number) as last_purchase_day_number

    from facts.orders

    group by customer_id

)

select *

from customers

where first_number <> 1 + earlier_orders
    or last_number <> orders + earlier_orders
    or last_purchase_day_number > orders + earlier_orders
