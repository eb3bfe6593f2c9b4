-- staging.earlier_customers: who stands in the orders before $history_start?
--
-- grain   customer_id
-- reads   quarantine.orders
-- params  history_start
--
-- customer_id       id      who
-- first_order_date  date    day of the earliest of these orders, refunds included
-- orders            bigint  sales and redemptions among them; 0: only refunds
--
-- These orders are set aside and bring nothing, but who bought in them is no new
-- customer afterwards. Without $history_start there are none.

with

orders as (

    select
        order_id,
        customer_id,
        order_date,
        kind,
        case when kind = 'redemption' then 0 else coalesce(amount, 0) end as amount

    from quarantine.orders

    where reason = 'before_history'
        and order_date < $history_start
        and customer_id is not null

),

-- Lines of one order are a refund if their sum is.
summed as (

    select
        order_id,
        customer_id,

        min(order_date) as order_date,
        sum(case when kind is distinct from 'refund' then amount end) as amount

    from orders

    group by order_id, customer_id

),

final as (

    select
        customer_id,

        min(order_date) as first_order_date,
        count(case when amount >= 0 then 1 end) as orders

    from summed

    group by customer_id

)

select * from final
