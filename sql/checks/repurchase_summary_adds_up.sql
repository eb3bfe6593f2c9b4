-- checks.repurchase_summary_adds_up: the periods hold the orders and money of the whole.
--
-- reads   metrics.repurchase_summary, facts.customers
-- params  none

with

spans as (

    select
        span,

        sum(customers - coalesce(returning_customers, 0)) as new_customers,
        sum(orders) as orders,
        sum(repeat_orders) as repeat_orders,
        sum(revenue) as revenue,
        sum(repeat_revenue) as repeat_revenue

    from metrics.repurchase_summary

    group by span

),

expected as (

    select
        count(*) as new_customers,
        sum(orders) as orders,
        sum(orders - 1) as repeat_orders,
        sum(net) as revenue

    from facts.customers

)

select
    spans.*,
    expected.new_customers as expected_customers,
    expected.orders as expected_orders,
    expected.repeat_orders as expected_repeat_orders,
    expected.revenue as expected_revenue,
    whole.repeat_revenue as expected_repeat_revenue

from spans

cross join expected

left join spans as whole
    on whole.span = 'all'

where spans.new_customers <> expected.new_customers
    or spans.orders <> expected.orders
    or spans.repeat_orders <> expected.repeat_orders
    or spans.revenue <> expected.revenue
    or (spans.repeat_revenue is distinct from whole.repeat_revenue)
