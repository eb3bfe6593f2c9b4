-- checks.money_reconciles: customers and unattributed refunds hold the money of the
-- accepted orders, no more and no less.
--
-- reads   staging.orders, facts.customers, facts.unattributed_refunds
-- params  none

with

accepted as (

    select
        coalesce(sum(gross), 0) as gross,
        coalesce(sum(refunded), 0) as refunds,
        coalesce(sum(net), 0) as net

    from staging.orders

),

customers as (

    select
        coalesce(sum(gross), 0) as gross,
        coalesce(sum(refunds), 0) as refunds,
        coalesce(sum(net), 0) as net

    from facts.customers

),

unattributed as (

    select coalesce(sum(refunded), 0) as refunds

    from facts.unattributed_refunds

)

select
    accepted.gross as accepted_gross,
    customers.gross as customer_gross,
    accepted.refunds as accepted_refunds,
    customers.refunds as customer_refunds,
    unattributed.refunds as unattributed_refunds,
    accepted.net as accepted_net,
    customers.net as customer_net

from accepted

cross join customers

cross join unattributed

where accepted.gross <> customers.gross
    or accepted.refunds <> customers.refunds + unattributed.refunds
    or accepted.net <> customers.net - unattributed.refunds
