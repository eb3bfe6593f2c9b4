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

-- What has been given back and spent so far tells, at a sale, what came before
-- it; the difference from sale to sale is what belongs to one.
lives as (

    select
        *,

        count(case when not is_refund then 1 end) over so_far as order_number,
        sum(refunded) over so_far as refunded_so_far,
        sum(cost) over so_far as cost_so_far,
        count(cost) over so_far as costs_so_far,
        sum(refunded) over ever as refunded_ever,
        sum(cost) over ever as cost_ever,
        count(cost) over ever as costs_ever

    from orders

    window
        so_far as (
            partition by customer_id
            order by ordered_at, is_refund, order_id
            rows between unbounded preceding and current row
        ),
        ever as (
            partition by customer_id
            order by ordered_at, is_refund, order_id
            rows between unbounded preceding and unbounded following
        )

),

-- From here on a row is a sale. Refunds before the first one count with it; those
-- of a customer who never bought stand in facts.unattributed_refunds.
sales as (

    select
        *,

        case when order_number > 1 then refunded_so_far else 0 end
            as refunded_before,
        case
            when order_number > 1
                then coalesce(cost_so_far, 0) - coalesce(cost, 0)
            else 0
        end as cost_before,
        case
            when order_number > 1
                then costs_so_far - case when cost is null then 0 else 1 end
            else 0
        end as costs_before

    from lives

    where not is_refund

),

sequenced as (

    select
        *,

        lag(order_id) over customer as previous_order_id,
        lag(order_date) over customer as previous_order_date,
        lead(order_date) over customer as next_order_date,
        min(order_date) over so_far as first_order_date,
        lead(refunded_before) over customer as refunded_by_next,
        lead(cost_before) over customer as cost_by_next,
        lead(costs_before) over customer as costs_by_next

    from sales

    window
        customer as (
            partition by customer_id
            order by ordered_at, is_refund, order_id
        ),
        so_far as (
            partition by customer_id
            order by ordered_at, is_refund, order_id
            rows between unbounded preceding and current row
        )

),

dated as (

    select
        *,

        coalesce(refunded_by_next, refunded_ever) - refunded_before
            as own_refunds,
        coalesce(cost_by_next, cost_ever) - cost_before as own_cost,
        coalesce(costs_by_next, costs_ever) - costs_before as own_costs,
        count(
            case when order_date is distinct from previous_order_date then 1 end
        ) over (
            partition by customer_id
            order by ordered_at, is_refund, order_id
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
        order_number,
        previous_order_id,
        previous_order_date,
        order_date - previous_order_date as days_since_previous,
        purchase_day_number,
        next_order_date,
        first_order_date,
        kind,

        gross,
        cast(own_refunds as decimal(18,2)) as refunded,
        cast(gross - own_refunds as decimal(18,2)) as net,
        cast(case when own_costs > 0 then own_cost end as decimal(18,2))
            as cost,
        discount,

        channel,
        store,
        campaign

    from dated

)

select * from final
