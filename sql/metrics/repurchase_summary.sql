-- metrics.repurchase_summary: the rates that are all called repurchase rate, each
-- under its own name.
--
-- grain   span, period_start
-- reads   facts.customers, facts.period_sales
-- params  none
--
-- span                        text           period: a period of $cohort_grain; all:
--                                            the whole history, one row
-- period_start                date           first day; of the first period for all
-- is_complete                 boolean        period: $as_of does not cut it short;
--                                            all: true, the history up to $as_of
-- customers                   bigint         customers with an order in the span
-- orders                      bigint         their orders
-- purchases_per_customer      double         orders / customers
-- new_customers               bigint         those whose first order ever is in the span
-- repeat_customers            bigint         all: with two or more orders ever, or known
--                                            from before; null for a period
-- customer_repurchase_rate    double         all: repeat_customers / customers; null
--                                            for a period
-- in_period_repeat_customers  bigint         period: with two or more orders within
--                                            it; null for all
-- in_period_repeat_rate       double         that / customers; null for all
-- returning_customers         bigint         period: who bought before it; null for all
-- returning_share             double         that / customers; null for all
-- reordering_customers        bigint         period: with an order in it that is at least
--                                            their second ever, be the first in the same
--                                            period; null for all
-- returning_customer_rate     double         that / customers, as Shopify and WooCommerce
--                                            count; null for all
-- previous_customers          bigint         period: buyers of the period before; null
--                                            for all
-- buy_back_customers          bigint         those of them who buy in this one; null
--                                            for all
-- buy_back_rate               double         buy_back / previous customers; null if
--                                            there were none, and for all
-- repeat_orders               bigint         orders that are not a customer's first
-- order_repurchase_rate       double         repeat_orders / orders
-- revenue                     decimal(18,2)  net of the orders of the span, whenever
--                                            their refunds came
-- repeat_revenue              decimal(18,2)  that of the repeat orders
-- repeat_revenue_share        double         repeat_revenue / revenue; null if that is
--                                            0; outside 0..1 if refunds exceed sales
--
-- Rates over no customer are null. Here a refund lowers the period of its order, so
-- that a repeat order keeps its own refunds; in metrics.cohort_retention it lowers
-- the period it was made in. Both add up to the same total. All-time rates grow
-- with the length of the history: metrics.repurchase_windows compares fairly. Who is
-- known from before (facts.known_before) is never new.

with

customers as (

    select
        orders,
        is_known_before

    from facts.customers

),

period_sales as (

    select
        period_start,
        is_complete,
        customers,
        repeat_customers,
        returning_customers,
        reordering_customers,
        previous_customers,
        buy_back_customers,
        orders,
        repeat_orders,
        revenue,
        repeat_revenue

    from facts.period_sales

),

all_customers as (

    select
        count(*) as customers,
        count(case when not is_known_before then 1 end) as new_customers,
        count(case when orders > 1 or is_known_before then 1 end)
            as repeat_customers

    from customers

),

all_sales as (

    select
        min(period_start) as period_start,
        sum(orders) as orders,
        sum(repeat_orders) as repeat_orders,
        sum(revenue) as revenue,
        sum(repeat_revenue) as repeat_revenue

    from period_sales

    -- Without any sale there is no span to speak of.
    having count(*) > 0

),

spans as (

    select
        'period' as span,
        period_start,
        is_complete,

        customers,
        customers - returning_customers as new_customers,
        cast(null as bigint) as repeat_customers,
        repeat_customers as in_period_repeat_customers,
        returning_customers,
        reordering_customers,
        previous_customers,
        buy_back_customers,
        orders,
        repeat_orders,
        revenue,
        repeat_revenue

    from period_sales

    union all

    select
        'all' as span,
        all_sales.period_start,
        true as is_complete,

        all_customers.customers,
        all_customers.new_customers,
        all_customers.repeat_customers,
        null as in_period_repeat_customers,
        null as returning_customers,
        null as reordering_customers,
        null as previous_customers,
        null as buy_back_customers,
        all_sales.orders,
        all_sales.repeat_orders,
        all_sales.revenue,
        all_sales.repeat_revenue

    from all_sales

    cross join all_customers

),

final as (

    select
        span,
        period_start,

        is_complete,
        customers,
        cast(orders as bigint) as orders,
        cast(orders as double) / nullif(customers, 0)
            as purchases_per_customer,
        new_customers,
        repeat_customers,
        cast(repeat_customers as double) / nullif(customers, 0)
            as customer_repurchase_rate,
        in_period_repeat_customers,
        cast(in_period_repeat_customers as double) / nullif(customers, 0)
            as in_period_repeat_rate,
        returning_customers,
        cast(returning_customers as double) / nullif(customers, 0)
            as returning_share,
        reordering_customers,
        cast(reordering_customers as double) / nullif(customers, 0)
            as returning_customer_rate,
        previous_customers,
        buy_back_customers,
        cast(buy_back_customers as double) / nullif(previous_customers, 0)
            as buy_back_rate,
        cast(repeat_orders as bigint) as repeat_orders,
        cast(repeat_orders as double) / nullif(orders, 0)
            as order_repurchase_rate,
        cast(revenue as decimal(18,2)) as revenue,
        cast(repeat_revenue as decimal(18,2)) as repeat_revenue,
        cast(repeat_revenue as double) / nullif(cast(revenue as double), 0)
            as repeat_revenue_share

    from spans

)

select * from final
