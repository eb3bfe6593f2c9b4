-- facts.customers: everyone who ever bought, in one row.
--
-- grain   customer_id
-- reads   facts.orders, facts.known_before
-- uses    sources.customers
-- params  as_of
--
-- customer_id                id             who
-- first_order_id             id             the first order in the history
-- first_order_at             timestamp      when it was placed, UTC
-- first_order_date           date           its day
-- second_purchase_date       date           the second purchase day in the history; null
--                                           if none
-- last_order_at              timestamp      when the latest was placed, UTC
-- last_order_date            date           its day
-- orders                     bigint         sales and redemptions
-- purchase_days              bigint         distinct days with an order
-- gross                      decimal(18,2)  money of all orders
-- refunds                    decimal(18,2)  all refunds, positive
-- net                        decimal(18,2)  gross - refunds
-- cost                       decimal(18,2)  cost of the orders whose cost is known;
--                                           null where none is
-- average_order_value        decimal(18,2)  net / orders
-- is_known_before            boolean        bought before the history begins, as in
--                                           facts.known_before: no new customer
-- tenure_days                bigint         $as_of - first_order_date
-- recency_days               bigint         $as_of - last_order_date
-- first_channel              text           of the first order; null if unknown
-- favourite_channel          text           the one with most orders, of equals the
--                                           one used last; null if all unknown
-- first_store                text           of the first order; null if unknown
-- first_campaign             text           of the first order; null if unknown
-- is_first_order_discounted  boolean        null where discount is not mapped
-- categories_bought          bigint         null while no order lines are read
-- acquisition_channel        text           from sources.customers, else null
-- acquired_date              date           from sources.customers, else null
-- acquisition_cost           decimal(18,2)  from sources.customers, else null
--
-- Refunds are money only: first, last, orders and days come from sales. A row of
-- sources.customers that is dated after $as_of does not exist yet.

with

-- Numbered within the history, whatever came before it.
orders as (

    select
        order_id,
        customer_id,
        ordered_at,
        order_date,
        order_number - case when is_known_before then 1 else 0 end
            as order_number,
        purchase_day_number - case when is_known_before then 1 else 0 end
            as purchase_day_number,
        gross,
        refunded,
        net,
        cost,
        discount,
        channel,
        store,
        campaign

    from facts.orders

),

known_before as (

    select customer_id

    from facts.known_before

),

profiles as (

    select
        customer_id,
        acquired_at,
        channel,
        acquisition_cost

    from sources.customers

    where acquired_at is null
        or acquired_at <= $as_of

),

-- The columns of the first order are those of the one row that has them.
totals as (

    select
        customer_id,

        max(case when order_number = 1 then order_id end) as first_order_id,
        min(ordered_at) as first_order_at,
        min(order_date) as first_order_date,
        min(case when purchase_day_number = 2 then order_date end)
            as second_purchase_date,
        max(ordered_at) as last_order_at,
        max(order_date) as last_order_date,
        count(*) as orders,
        max(purchase_day_number) as purchase_days,
        cast(sum(gross) as decimal(18,2)) as gross,
        cast(sum(refunded) as decimal(18,2)) as refunds,
        cast(sum(net) as decimal(18,2)) as net,
        cast(sum(cost) as decimal(18,2)) as cost,
        max(case when order_number = 1 then discount end) as first_discount,
        max(case when order_number = 1 then channel end) as first_channel,
        max(case when order_number = 1 then store end) as first_store,
        max(case when order_number = 1 then campaign end) as first_campaign

    from orders

    group by customer_id

),

by_channel as (

    select
        customer_id,
        channel,

        count(*) as orders,
        max(order_number) as last_order_number

    from orders

    where channel is not null

    group by customer_id, channel

),

favourites as (

    select
        customer_id,

        first_value(channel order by orders desc, last_order_number desc)
            as channel

    from by_channel

    group by customer_id

),

final as (

    select
        totals.customer_id,
        totals.first_order_id,
        totals.first_order_at,
        totals.first_order_date,
        totals.second_purchase_date,
        totals.last_order_at,
        totals.last_order_date,

        totals.orders,
        totals.purchase_days,
        totals.gross,
        totals.refunds,
        totals.net,
        totals.cost,
        cast(totals.net / totals.orders as decimal(18,2))
            as average_order_value,
        known_before.customer_id is not null as is_known_before,
        $as_of - totals.first_order_date as tenure_days,
        $as_of - totals.last_order_date as recency_days,

        totals.first_channel,
        favourites.channel as favourite_channel,
        totals.first_store,
        totals.first_campaign,
        totals.first_discount > 0 as is_first_order_discounted,
        cast(null as bigint) as categories_bought,
        profiles.channel as acquisition_channel,
        profiles.acquired_at as acquired_date,
        profiles.acquisition_cost

    from totals

    left join favourites
        on totals.customer_id = favourites.customer_id

    left join known_before
        on totals.customer_id = known_before.customer_id

    left join profiles
        on totals.customer_id = profiles.customer_id

)

select * from final
