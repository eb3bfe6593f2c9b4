-- facts.customer_margins: what a customer has earned us, in all and by year.
--
-- grain   customer_id
-- reads   facts.customer_days, facts.orders, facts.customers
-- params  as_of, margin_rate
--
-- customer_id          id             who
-- acquisition_channel  text           from sources.customers; unknown where it is not
-- is_known_before      boolean        as in facts.customers
-- tenure_days          bigint         $as_of - first_order_date
-- revenue              decimal(18,2)  net, over all history
-- margin               decimal(26,8)  net - cost of the sales whose cost is known,
--                                     net × $margin_rate of the others
-- margin_rate          double         margin / revenue; $margin_rate where revenue
--                                     is not above 0
-- margin_basis         text           cost, rate, or cost and rate: what it rests on
-- revenue_last_year    decimal(18,2)  net of the 365 days up to $as_of
-- margin_last_year     decimal(26,8)  its margin
-- return_revenue       decimal(18,2)  net of the orders of the days 1 to 365 after the
--                                     first one, whenever their refunds came
-- return_margin        decimal(26,8)  their margin
-- bought_last_year     boolean        a purchase in the 365 days up to $as_of
-- bought_year_before   boolean        a purchase in the 365 days before those
--
-- Margins are not rounded: what is computed from them is. Money of all history and of
-- the last year is booked by day: a refund takes its margin back on its own day, in
-- the way its sale has earned it.

with

customer_days as (

    select
        customer_id,
        $as_of - order_date as age_days,
        is_purchase_day,
        net,
        cost,
        coalesce(costed_net, 0) <> net or cost is null as is_at_rate,
        coalesce(costed_net - cost, 0)
        + (net - coalesce(costed_net, 0)) * cast($margin_rate as decimal(9,6))
            as margin

    from facts.customer_days

),

return_orders as (

    select
        customer_id,
        net,
        case
            when cost is null then net * cast($margin_rate as decimal(9,6))
            else net - cost
        end as margin

    from facts.orders

    where order_date - first_order_date between 1 and 365

),

customers as (

    select
        customer_id,
        coalesce(acquisition_channel, 'unknown') as acquisition_channel,
        is_known_before,
        net,
        tenure_days,
        recency_days

    from facts.customers

),

totals as (

    select
        customer_id,

        sum(margin) as margin,
        count(cost) as days_with_cost,
        count(case when is_at_rate then 1 end) as days_at_rate,
        sum(case when age_days < 365 then net end) as revenue_last_year,
        sum(case when age_days < 365 then margin end) as margin_last_year,
        count(
            case
                when is_purchase_day and age_days between 365 and 729 then 1
            end
        ) > 0 as bought_year_before

    from customer_days

    group by customer_id

),

returns as (

    select
        customer_id,

        sum(net) as revenue,
        sum(margin) as margin

    from return_orders

    group by customer_id

),

earned as (

    select
        customers.*,
        totals.margin,
        totals.days_with_cost,
        totals.days_at_rate,
        totals.revenue_last_year,
        totals.margin_last_year,
        totals.bought_year_before

    from customers

    inner join totals
        on customers.customer_id = totals.customer_id

),

-- A hash join holds its left side: the narrow one.
final as (

    select
        earned.customer_id,

        earned.acquisition_channel,
        earned.is_known_before,
        earned.tenure_days,
        earned.net as revenue,
        cast(earned.margin as decimal(26,8)) as margin,
        case
            when earned.net > 0 then
                cast(earned.margin as double) / cast(earned.net as double)
            else cast($margin_rate as double)
        end as margin_rate,
        case
            when earned.days_with_cost = 0 then 'rate'
            when earned.days_at_rate = 0 then 'cost'
            else 'cost and rate'
        end as margin_basis,
        cast(coalesce(earned.revenue_last_year, 0) as decimal(18,2))
            as revenue_last_year,
        cast(coalesce(earned.margin_last_year, 0) as decimal(26,8))
            as margin_last_year,
        cast(coalesce(returns.revenue, 0) as decimal(18,2)) as return_revenue,
        cast(coalesce(returns.margin, 0) as decimal(26,8)) as return_margin,
        earned.recency_days < 365 as bought_last_year,
        earned.bought_year_before

    from returns

    right join earned
        on returns.customer_id = earned.customer_id

)

select * from final
