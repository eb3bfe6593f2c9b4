-- checks.repurchase_summary_adds_up: the periods hold the orders and money of the whole.
--
-- reads   metrics.repurchase_summary, facts.customers
-- params  none

with

spans as (

    select
        span,

        sum(new_customers) as new_customers,
        max(reordering_customers - customers) as excess,
        max(returning_customers - reordering_customers) as lack,
        sum(orders) as orders,
        sum(repeat_orders) as repeat_orders,
        sum(revenue) as revenue,
        sum(repeat_revenue) as repeat_revenue

    from metrics.repurchase_summary

    group by span

),

expected as (

    select
        count(case when not is_known_before then 1 end) as new_customers,
        sum(orders) as orders,
        sum(orders) - count(case when not is_known_before then 1 end)
            as repeat_orders,
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
    -- Who bought before the period has a repeat order in it.
    or spans.excess > 0
    or spans.lack > 0
    or spans.orders <> expected.orders
    or spans.repeat_orders <> expected.repeat_orders
    or spans.revenue <> expected.revenue
    or (spans.repeat_revenue is distinct from whole.repeat_revenue)
