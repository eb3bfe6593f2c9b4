-- facts.unattributed_refunds: refunds of people who never bought, or bought only
-- before the history begins.
--
-- grain   order_id
-- reads   staging.orders, facts.customers
-- params  none
--
-- order_id     id             the refund
-- customer_id  id             whose it is
-- ordered_at   timestamp      when, UTC
-- order_date   date           the local day of ordered_at
-- refunded     decimal(18,2)  what was given back, positive
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

final as (

    select
        refunds.order_id,
        refunds.customer_id,
        refunds.ordered_at,
        refunds.order_date,
        refunds.refunded

    from refunds

    left anti join customers
        on refunds.customer_id = customers.customer_id

)

select * from final
