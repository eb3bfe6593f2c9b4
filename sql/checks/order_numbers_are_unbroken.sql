-- checks.order_numbers_are_unbroken: a customer's orders are numbered 1, 2, 3 …
--
-- reads   facts.orders
-- params  none

with

customers as (

    select
        customer_id,

        count(*) as orders,
        min(order_number) as first_number,
        max(order_number) as last_number,
        max(purchase_day_number) as last_purchase_day_number

    from facts.orders

    group by customer_id

)

select *

from customers

where first_number <> 1
    or last_number <> orders
    or last_purchase_day_number > orders
