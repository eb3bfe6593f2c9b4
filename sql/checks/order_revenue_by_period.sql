-- checks.order_revenue_by_period: the orders of a period bring what its cohorts say,
-- and those known from before.
--
-- reads   metrics.cohort_retention, metrics.repurchase_summary, facts.orders,
--         facts.cohort_days, facts.periods
-- params  none

with

cohorts as (

    select
        period_start,

        sum(order_revenue) as revenue

    from metrics.cohort_retention

    group by period_start

),

known_before as (

    select
        periods.period_start,

        sum(orders.net) as revenue

    from facts.cohort_days as days

    inner join facts.orders as orders
        on days.day_date = orders.order_date
        and orders.is_known_before

    inner join facts.periods as periods
        on days.period = periods.period

    group by periods.period_start

),

summary as (

    select
        period_start,
        revenue

    from metrics.repurchase_summary

    where span = 'period'

)

select
    summary.period_start,
    cohorts.revenue as cohort_revenue,
    known_before.revenue as known_before_revenue,
    summary.revenue

from summary

left join cohorts
    on summary.period_start = cohorts.period_start

left join known_before
    on summary.period_start = known_before.period_start

where summary.revenue
    <> coalesce(cohorts.revenue, 0) + coalesce(known_before.revenue, 0)
