-- facts.unattributed_refunds: refunds of people who never bought, or bought only
-- before the history begins.
--
-- grain   order_id, refund_number
-- reads   staging.orders, facts.customers
-- params  none
--
-- order_id       id             the refund
-- refund_number  bigint         tells refunds of one number apart: 1, 2, … in the
--                               order of time
-- customer_id    id             whose it is
-- ordered_at     timestamp      when, UTC
-- order_date     date           the local day of ordered_at
-- refunded       decimal(18,2)  what was given back, positive
--
-- They belong to no sale and no customer of facts.customers, yet are money of
-- the accepted orders: a line of their own in every reconciliation.

with

refunds as (

    select
        order_id,
        customer_id,
        ordered_at,
        order_date,
        refunded

    from staging.orders

    where is_refund

),

customers as (

    select customer_id

    from facts.customers

),

unattributed as (

    select refunds.*

    from refunds

    left anti join customers
        on refunds.customer_id = customers.customer_id

),

-- Refunds that agree in all of this are equal rows.
final as (

    select
        order_id,
        cast(
            row_number() over (
                partition by order_id
                order by ordered_at, customer_id, refunded
            ) as bigint
        ) as refund_number,
        customer_id,
        ordered_at,
        order_date,
        refunded

    from unattributed

)

select * from final
