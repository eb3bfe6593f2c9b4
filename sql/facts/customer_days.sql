-- facts.customer_days: what a customer did on a day.
--
-- grain   customer_id, order_date
-- reads   staging.orders, facts.known_before
-- params  none
--
-- customer_id             id             someone with at least one sale
-- order_date              date           a day with a sale or a refund
-- is_purchase_day         boolean        has a sale
-- orders                  bigint         sales of the day
-- gross                   decimal(18,2)  their money
-- refunds                 decimal(18,2)  refunds booked on the day, positive
-- net                     decimal(18,2)  gross - refunds
-- cost                    decimal(18,2)  cost, as signed, of the sales whose cost is
--                                        known and of their refunds; null where none
--                                        is
-- costed_net              decimal(18,2)  net of the same; null likewise
-- purchase_day_number     bigint         purchase days up to and with this day, and one
--                                        more for who is known from before
-- previous_purchase_date  date           the latest purchase day before this day;
--                                        null up to the first one
-- first_order_date        date           the customer's first purchase day in the
--                                        history
-- is_known_before         boolean        the customer bought before the history begins,
--                                        as in facts.known_before
--
-- Refunds stand on the day they were made; those made before the customer's first
-- sale stand on the day of that sale, so that no life begins with a refund. Whether
-- the cost of a refund is known, its sale says: the one it names, else the latest at
-- or before it, else the first. Without a cost of its own it took back no goods.

with

orders as (

    select
        customer_id,
        ordered_at,
        order_id,
        order_rank,
        order_date,
        is_refund,
        gross,
        refunded,
        net,
        cost,
        case when not is_refund then cost is not null end as is_costed_sale,
        -- A refund that names its sale has a cost where the sale has one.
        case when refund_of is not null then cost is not null end
            as is_costed_by_name

    from staging.orders

),

known_before as (

    select customer_id

    from facts.known_before

),

lives as (

    select
        *,

        min(case when not is_refund then order_date end) over (
            partition by customer_id
            order by ordered_at, is_refund, order_rank, order_id
            rows between unbounded preceding and unbounded following
        ) as first_order_date,
        lag(is_costed_sale) ignore nulls over (
            partition by customer_id
            order by ordered_at, is_refund, order_rank, order_id
        ) as is_costed_before,
        lead(is_costed_sale) ignore nulls over (
            partition by customer_id
            order by ordered_at, is_refund, order_rank, order_id
        ) as is_costed_behind

    from orders

),

booked as (

    select
        customer_id,
        greatest(order_date, first_order_date) as order_date,
        first_order_date,
        is_refund,
        gross,
        refunded,
        net,
        cost,
        coalesce(
            is_costed_sale,
            is_costed_by_name,
            is_costed_before,
            is_costed_behind
        ) as is_costed

    from lives

    where first_order_date is not null

),

days as (

    select
        customer_id,
        order_date,

        min(first_order_date) as first_order_date,
        count(case when not is_refund then 1 end) as orders,
        max(case when not is_refund then order_date end) as purchase_date,
        sum(gross) as gross,
        sum(refunded) as refunds,
        sum(net) as net,
        sum(case when is_costed then coalesce(cost, 0) end) as cost,
        sum(case when is_costed then net end) as costed_net

    from booked

    group by customer_id, order_date

),

numbered as (

    select
        *,

        count(purchase_date) over (
            partition by customer_id
            order by order_date
            rows between unbounded preceding and current row
        ) as purchase_day_number,
        lag(purchase_date) ignore nulls over (
            partition by customer_id
            order by order_date
        ) as previous_purchase_date

    from days

),

-- A hash join holds its left side: the few who are known from before.
flagged as (

    select
        numbered.*,
        known_before.customer_id is not null as is_known_before

    from known_before

    right join numbered
        on known_before.customer_id = numbered.customer_id

),

final as (

    select
        customer_id,
        order_date,

        orders > 0 as is_purchase_day,
        orders,
        cast(gross as decimal(18,2)) as gross,
        cast(refunds as decimal(18,2)) as refunds,
        cast(net as decimal(18,2)) as net,
        cast(cost as decimal(18,2)) as cost,
        cast(costed_net as decimal(18,2)) as costed_net,
        purchase_day_number + case when is_known_before then 1 else 0 end
            as purchase_day_number,
        previous_purchase_date,
        first_order_date,
        is_known_before

    from flagged

)

select * from final
