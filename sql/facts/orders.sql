-- facts.orders: every sale, its place in the customer's life, its refunds.
--
-- grain   order_id
-- reads   staging.orders
-- params  none
--
-- order_id             id             the sale
-- customer_id          id             who bought
-- ordered_at           timestamp      when, UTC
-- order_date           date           the local day of ordered_at
-- order_number         bigint         1 = the customer's first order
-- previous_order_id    id             null for the first order
-- previous_order_date  date           null for the first order
-- days_since_previous  bigint         whole days; 0 on the same day, null for the
--                                     first order
-- purchase_day_number  bigint         1 = the customer's first purchase day; equal
--                                     for the orders of one day
-- next_order_date      date           may be the same day; null if none yet
-- first_order_date     date           the day of the customer's first order
-- kind                 text           sale or redemption
-- gross                decimal(18,2)  what the order brought
-- refunded             decimal(18,2)  refunds that belong to it, positive
-- net                  decimal(18,2)  gross - refunded; may be below 0
-- cost                 decimal(18,2)  cost of the order and of its refunds, as
--                                     signed; null where not mapped
-- discount             decimal(18,2)  null where not mapped
-- channel              text           null where not mapped
-- store                text           null where not mapped
-- campaign             text           null where not mapped
--
-- A refund belongs to the customer's latest sale at or before it; one that comes
-- before the first sale, to the first. Orders of one instant stand in the order
-- of their ids.

with

orders as (

    select
        order_id,
        customer_id,
        ordered_at,
        order_date,
        kind,
        is_refund,
        gross,
        refunded,
        net,
        cost,
        discount,
        channel,
        store,
        campaign

    from staging.orders

),

-- A sale opens a stretch that ends before the next sale; stretch 0 holds the
-- refunds before the first one.
stretched as (

    select
        *,

        count(case when not is_refund then 1 end) over (
            partition by customer_id
            order by ordered_at, is_refund, order_id
            rows between unbounded preceding and current row
        ) as stretch

    from orders

),

-- Each stretch but 0 has exactly one sale, so max() only picks its value.
folded as (

    select
        customer_id,
        stretch,

        max(case when not is_refund then order_id end) as order_id,
        max(case when not is_refund then ordered_at end) as ordered_at,
        max(case when not is_refund then order_date end) as order_date,
        max(case when not is_refund then kind end) as kind,
        max(case when not is_refund then discount end) as discount,
        max(case when not is_refund then channel end) as channel,
        max(case when not is_refund then store end) as store,
        max(case when not is_refund then campaign end) as campaign,
        sum(gross) as gross,
        sum(refunded) as refunded,
        sum(net) as net,
        sum(cost) as cost

    from stretched

    group by customer_id, stretch

),

sequenced as (

    select
        *,

        lag(order_id) over customer as previous_order_id,
        lag(order_date) over customer as previous_order_date,
        lead(order_date) over customer as next_order_date,
        min(order_date) over (
            partition by customer_id
            order by stretch
            rows between unbounded preceding and current row
        ) as first_order_date,
        case
            when stretch = 1 then lag(refunded) over customer
        end as refunded_before,
        case when stretch = 1 then lag(cost) over customer end as cost_before

    from folded

    window customer as (partition by customer_id order by stretch)

),

dated as (

    select
        *,

        sum(
            case when order_date is distinct from previous_order_date then 1 end
        ) over (
            partition by customer_id
            order by stretch
            rows between unbounded preceding and current row
        ) as purchase_day_number

    from sequenced

),

final as (

    select
        order_id,
        customer_id,
        ordered_at,
        order_date,
        stretch as order_number,
        previous_order_id,
        previous_order_date,
        order_date - previous_order_date as days_since_previous,
        cast(purchase_day_number as bigint) as purchase_day_number,
        next_order_date,
        first_order_date,
        kind,

        cast(gross as decimal(18,2)) as gross,
        cast(refunded + coalesce(refunded_before, 0) as decimal(18,2))
            as refunded,
        cast(net - coalesce(refunded_before, 0) as decimal(18,2)) as net,
        cast(
            case
                when cost_before is null then cost
                else coalesce(cost, 0) + cost_before
            end as decimal(18,2)
        ) as cost,
        discount,

        channel,
        store,
        campaign

    from dated

    -- Stretch 0 has handed its refunds on; for a customer who never bought they
    -- stand in facts.unattributed_refunds.
    where stretch > 0

)

select * from final
