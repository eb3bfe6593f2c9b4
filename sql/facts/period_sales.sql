-- facts.period_sales: who bought in a period, how often, and for how much.
--
-- grain   period
-- reads   facts.orders, facts.cohort_activity, facts.customer_periods, facts.periods
-- params  none
--
-- period                 bigint         as in facts.periods
-- period_start           date           first day
-- is_complete            boolean        $as_of does not cut it short
-- customers              bigint         customers with an order
-- repeat_customers       bigint         with two or more orders within the period
-- returning_customers    bigint         who bought before the period
-- reordering_customers   bigint         with an order in it that is not their first
-- previous_customers     bigint         customers of the period before it
-- buy_back_customers     bigint         those of them who buy in this one
-- orders                 bigint         orders of the period
-- repeat_orders          bigint         those that are not a customer's first
-- revenue                decimal(18,2)  net of these orders, whenever their refunds
--                                       came
-- repeat_revenue         decimal(18,2)  that of the repeat orders
--
-- Dense: a period without an order is a row of zeros.

with

orders as (

    select
        order_date,
        order_number,
        net

    from facts.orders

),

activity as (

    select
        cohort_period,
        period,
        active_customers,
        repeat_customers,
        buy_back_customers

    from facts.cohort_activity

),

-- Who is known from before is in no cohort, and bought before every period.
known_before as (

    select
        period,

        count(case when is_active then 1 end) as active_customers,
        count(case when orders > 1 then 1 end) as repeat_customers,
        count(
            case when is_active and previous_active_period = period - 1 then 1 end
        ) as buy_back_customers

    from facts.customer_periods

    where cohort_period is null

    group by period

),

active as (

    select
        period,
        cohort_period < period as is_returning,
        active_customers,
        repeat_customers,
        buy_back_customers

    from activity

    union all

    select
        period,
        true as is_returning,
        active_customers,
        repeat_customers,
        buy_back_customers

    from known_before

),

periods as (

    select
        period,
        period_start,
        period_end,
        is_complete

    from facts.periods

),

-- By day first: few rows, which find their period by its bounds.
days as (

    select
        order_date,

        count(*) as orders,
        count(case when order_number > 1 then 1 end) as repeat_orders,
        sum(net) as revenue,
        sum(case when order_number > 1 then net end) as repeat_revenue

    from orders

    group by order_date

),

sales as (

    select
        periods.period,
        periods.period_start,
        periods.is_complete,

        coalesce(sum(days.orders), 0) as orders,
        coalesce(sum(days.repeat_orders), 0) as repeat_orders,
        coalesce(sum(days.revenue), 0) as revenue,
        coalesce(sum(days.repeat_revenue), 0) as repeat_revenue

    from periods

    left join days
        on periods.period_start <= days.order_date
        and periods.period_end >= days.order_date

    group by periods.period, periods.period_start, periods.is_complete

),

buyers as (

    select
        period,

        sum(active_customers) as customers,
        sum(repeat_customers) as repeat_customers,
        sum(case when is_returning then active_customers end)
            as returning_customers,
        -- Of those who are new it takes two orders.
        sum(case when is_returning then active_customers else repeat_customers end)
            as reordering_customers,
        sum(buy_back_customers) as buy_back_customers

    from active

    group by period

),

final as (

    select
        sales.period,

        sales.period_start,
        sales.is_complete,
        coalesce(buyers.customers, 0) as customers,
        coalesce(buyers.repeat_customers, 0) as repeat_customers,
        coalesce(buyers.returning_customers, 0) as returning_customers,
        coalesce(buyers.reordering_customers, 0) as reordering_customers,
        coalesce(lag(buyers.customers) over (order by sales.period), 0)
            as previous_customers,
        coalesce(buyers.buy_back_customers, 0) as buy_back_customers,
        cast(sales.orders as bigint) as orders,
        cast(sales.repeat_orders as bigint) as repeat_orders,
        cast(sales.revenue as decimal(18,2)) as revenue,
        cast(sales.repeat_revenue as decimal(18,2)) as repeat_revenue

    from sales

    left join buyers
        on sales.period = buyers.period

)

select * from final
