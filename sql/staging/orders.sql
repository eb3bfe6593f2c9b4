-- staging.orders: every accepted order event, its money split by direction.
--
-- grain   order_id, is_refund
-- reads   sources.orders
-- params  none
--
-- order_id     id             the order; a refund may carry the number of the sale
-- customer_id  id             who bought
-- ordered_at   timestamp      when it was bought, UTC
-- order_date   date           the local day of ordered_at
-- kind         text           sale, refund or redemption (a prepaid visit)
-- is_refund    boolean        money going back; never a purchase
-- gross        decimal(18,2)  what a sale brought; 0 for the others
-- refunded     decimal(18,2)  what a refund gave back, positive; 0 for the others
-- net          decimal(18,2)  gross - refunded
-- discount     decimal(18,2)  price reduction granted; null where not mapped
-- cost         decimal(18,2)  cost of the goods, as signed by the source; null
--                             where not mapped
-- channel      text           null where not mapped
-- store        text           null where not mapped
-- campaign     text           null where not mapped
--
-- A redemption is a sale of no money: it counts as an order, a purchase day and
-- activity.

with

orders as (

    select
        order_id,
        customer_id,
        ordered_at,
        order_date,
        kind,
        is_refund,
        amount,
        discount,
        cost,
        channel,
        store,
        campaign

    from sources.orders

),

final as (

    select
        order_id,
        customer_id,
        ordered_at,
        order_date,
        kind,
        is_refund,

        case
            when is_refund then cast(0 as decimal(18,2))
            else amount
        end as gross,
        case
            when is_refund then cast(-amount as decimal(18,2))
            else cast(0 as decimal(18,2))
        end as refunded,
        amount as net,
        discount,
        cost,

        channel,
        store,
        campaign

    from orders

)

select * from final
