-- staging.orders: every accepted order event, its money split by direction.
--
-- grain   order_id, is_refund, ordered_at
-- reads   sources.orders
-- params  none
--
-- order_id       id             the order; a refund may carry the number of the sale
-- customer_id    id             who bought
-- ordered_at     timestamp      when it was bought, UTC
-- order_rank     bigint         the number that a text order_id spells, the highest
--                               where it spells none; 0 of ids that are numbers
-- order_date     date           the local day of ordered_at
-- kind           text           sale, refund or redemption (a prepaid visit)
-- is_refund      boolean        money going back; never a purchase
-- refund_of      id             the sale that a refund names, where it counts; null
--                               for the others
-- gross          decimal(18,2)  what a sale brought; 0 for the others
-- refunded       decimal(18,2)  what a refund gave back, positive; 0 for the others
-- net            decimal(18,2)  gross - refunded
-- named_refunds  decimal(18,2)  of a sale, the money of the refunds that name it,
--                               positive; null where none does
-- named_cost     decimal(18,2)  their cost, as signed; null where none names it, and
--                               where the cost of the sale is not known
-- discount       decimal(18,2)  price reduction granted; null where not mapped
-- cost           decimal(18,2)  cost of the goods, as signed by the source; null
--                               where not mapped
-- channel        text           null where not mapped
-- store          text           null where not mapped
-- campaign       text           null where not mapped
--
-- A sale is one row. One number may have several refunds; those of one time too, where
-- the source tells them apart by line_id or by the sales they name. A redemption is a
-- sale of no money: it counts as an order, a purchase day and activity.
--
-- A refund that names its sale has the customer, channel, store and campaign of the
-- sale, and a cost where the sale has one.
--
-- Orders of one instant stand in the order of order_rank and order_id: 9 comes before
-- 10, whether the files hold numbers or texts.

with

orders as (

    select
        order_id,
        customer_id,
        ordered_at,
        order_rank,
        order_date,
        kind,
        is_refund,
        refund_of,
        amount,
        named_refunds,
        named_cost,
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
        order_rank,
        order_date,
        kind,
        is_refund,
        refund_of,

        case
            when is_refund then cast(0 as decimal(18,2))
            else amount
        end as gross,
        case
            when is_refund then cast(-amount as decimal(18,2))
            else cast(0 as decimal(18,2))
        end as refunded,
        amount as net,
        named_refunds,
        named_cost,
        discount,
        cost,

        channel,
        store,
        campaign

    from orders

)

select * from final
