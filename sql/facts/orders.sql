-- facts.orders: every sale, its place in the customer's life, its refunds.
--
-- grain   order_id
-- reads   staging.orders, facts.known_before
-- params  none
--
-- order_id             id             the sale
-- customer_id          id             who bought
-- ordered_at           timestamp      when, UTC
-- order_date           date           the local day of ordered_at
-- order_number         bigint         1 = the customer's first order; who is known
--                                     from before begins with 2
-- previous_order_id    id             the one before it in the history; null if none
-- previous_order_date  date           null likewise
-- days_since_previous  bigint         whole days; 0 on the same day, null likewise
-- purchase_day_number  bigint         1 = the customer's first purchase day, likewise;
--                                     equal for the orders of one day
-- next_order_date      date           may be the same day; null if none yet
-- first_order_date     date           the day of the customer's first order in the
--                                     history
-- is_known_before      boolean        the customer bought before the history begins,
--                                     as in facts.known_before
-- kind                 text           sale or redemption
-- gross                decimal(18,2)  what the order brought
-- refunded             decimal(18,2)  refunds that belong to it, positive
-- net                  decimal(18,2)  gross - refunded; may be below 0
-- cost                 decimal(18,2)  cost of the order and of its refunds, as
--                                     signed; null where that of the order is not
--                                     known
-- discount             decimal(18,2)  null where not mapped
-- channel              text           null where not mapped
-- store                text           null where not mapped
-- campaign             text           null where not mapped
--
-- A refund that names its sale, by refund_of or by carrying its number, belongs to
-- that very sale. Any other belongs to the customer's latest sale at or before it;
-- one that comes before the first sale, to the first. Orders of one instant stand in
-- the order of their ids, whole numbers by their value.

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
        gross,
        net,
        cost,
        named_refunds,
        named_cost,
        -- What a refund has that names no sale.
        case when refund_of is null then refunded end as placed_refund,
        case when refund_of is null then cost end as placed_cost,
        discount,
        channel,
        store,
        campaign

    from staging.orders

),

known_before as (

    select customer_id

    from facts.known_before

),

numbered as (

    select
        *,

        count(case when not is_refund then 1 end) over (
            partition by customer_id
            order by ordered_at, is_refund, order_rank, order_id
            rows between unbounded preceding and current row
        ) as order_number

    from orders

),

-- A sale and the refunds up to the next one share a place; refunds before the
-- first sale share its.
placed as (

    select
        *,

        count(case when not is_refund and order_number > 1 then 1 end) over (
            partition by customer_id
            order by ordered_at, is_refund, order_rank, order_id
            rows between unbounded preceding and current row
        ) as place

    from numbered

),

settled as (

    select
        *,

        sum(placed_refund) over (partition by customer_id, place) as placed_refunds,
        sum(placed_cost) over (partition by customer_id, place) as placed_costs

    from placed

),

-- Each sale with all its refunds. From here on a row is a sale. Refunds of a customer
-- who never bought stand in facts.unattributed_refunds.
sales as (

    select
        *,

        placed_refunds + coalesce(named_refunds, 0) as own_refunds,
        placed_costs + coalesce(named_cost, 0) as own_cost

    from settled

    where not is_refund

),

sequenced as (

    select
        *,

        lag(order_id) over customer as previous_order_id,
        lag(order_date) over customer as previous_order_date,
        lead(order_date) over customer as next_order_date,
        min(order_date) over so_far as first_order_date

    from sales

    window
        customer as (
            partition by customer_id
            order by ordered_at, is_refund, order_rank, order_id
        ),
        so_far as (
            partition by customer_id
            order by ordered_at, is_refund, order_rank, order_id
            rows between unbounded preceding and current row
        )

),

dated as (

    select
        *,

        count(
            case when order_date is distinct from previous_order_date then 1 end
        ) over (
            partition by customer_id
            order by ordered_at, is_refund, order_rank, order_id
            rows between unbounded preceding and current row
        ) as purchase_day_number

    from sequenced

),

-- A hash join holds its left side: the few who are known from before.
flagged as (

    select
        dated.*,
        known_before.customer_id is not null as is_known_before,
        case when known_before.customer_id is null then 0 else 1 end
            as earlier_orders

    from known_before

    right join dated
        on known_before.customer_id = dated.customer_id

),

final as (

    select
        order_id,
        customer_id,
        ordered_at,
        order_date,
        order_number + earlier_orders as order_number,
        previous_order_id,
        previous_order_date,
        order_date - previous_order_date as days_since_previous,
        purchase_day_number + earlier_orders as purchase_day_number,
        next_order_date,
        first_order_date,
        is_known_before,
        kind,

        gross,
        cast(own_refunds as decimal(18,2)) as refunded,
        cast(gross - own_refunds as decimal(18,2)) as net,
        case when cost is not null then cast(own_cost as decimal(18,2)) end
            as cost,
        discount,

        channel,
        store,
        campaign

    from flagged

)

select * from final
