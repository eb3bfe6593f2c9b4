-- metrics.cohort_retention_by_attribute: do customers won through one channel, store
-- or campaign stay longer than those won through another?
--
-- grain   attribute, attribute_value, cohort_start, period_index
-- reads   facts.attribute_activity, facts.periods
-- params  none
--
-- attribute                        text           channel, store or campaign, of the
--                                                 customer's first order
-- attribute_value                  text           its value
-- cohort_start                     date           first day of the period of a
--                                                 customer's first order
-- period_index                     bigint         0 is the cohort's own period, where
--                                                 the rate is 1 by definition
-- period_start                     date           first day of the period looked at
-- cohort_customers                 bigint         customers won in the cohort's period
--                                                 with that value
-- active_customers                 bigint         those with an order in the period
-- retention_rate                   double         active / cohort customers
-- orders                           bigint         their orders in the period, through
--                                                 whatever channel
-- revenue                          decimal(18,2)  net of the refunds made in it; may
--                                                 be below 0
-- order_revenue                    decimal(18,2)  net of the orders of the period,
--                                                 whenever their refunds came
-- cumulative_revenue               decimal(18,2)  revenue from index 0 to here
-- cumulative_revenue_per_customer  decimal(18,6)  that / cohort_customers
-- is_complete                      boolean        $as_of does not cut the period short
-- is_left_truncated                boolean        as in metrics.cohort_retention
--
-- Every attribute counts every customer once, so add up over one attribute, never
-- over all. Customers whose value is not known stand in no row. Dense as
-- metrics.cohort_retention.

with

attribute_activity as (

    select
        attribute,
        attribute_value,
        cohort_period,
        period,
        active_customers,
        orders,
        revenue,
        order_revenue

    from facts.attribute_activity

),

periods as (

    select
        period,
        period_start,
        is_complete,
        is_left_truncated

    from facts.periods

),

-- In the cohort's own period all of its customers are active.
cohorts as (

    select
        attribute_activity.attribute,
        attribute_activity.attribute_value,
        attribute_activity.cohort_period,
        periods.period_start as cohort_start,
        attribute_activity.active_customers as cohort_customers,
        periods.is_left_truncated

    from attribute_activity

    inner join periods
        on attribute_activity.period = periods.period

    where attribute_activity.period = attribute_activity.cohort_period

),

cells as (

    select
        cohorts.*,
        periods.period,
        periods.period_start,
        periods.is_complete

    from periods

    inner join cohorts
        on cohorts.cohort_period <= periods.period

),

filled as (

    select
        cells.*,

        coalesce(attribute_activity.active_customers, 0) as active_customers,
        coalesce(attribute_activity.orders, 0) as orders,
        coalesce(attribute_activity.revenue, 0) as revenue,
        coalesce(attribute_activity.order_revenue, 0) as order_revenue

    from cells

    left join attribute_activity
        on cells.attribute = attribute_activity.attribute
        and cells.attribute_value = attribute_activity.attribute_value
        and cells.cohort_period = attribute_activity.cohort_period
        and cells.period = attribute_activity.period

),

accumulated as (

    select
        *,

        sum(revenue) over (
            partition by attribute, attribute_value, cohort_period
            order by period
            rows between unbounded preceding and current row
        ) as cumulative_revenue

    from filled

),

final as (

    select
        attribute,
        attribute_value,
        cohort_start,
        period - cohort_period as period_index,

        period_start,
        cohort_customers,
        active_customers,
        cast(active_customers as double) / cohort_customers as retention_rate,
        orders,
        cast(revenue as decimal(18,2)) as revenue,
        cast(order_revenue as decimal(18,2)) as order_revenue,
        cast(cumulative_revenue as decimal(18,2)) as cumulative_revenue,
        -- Widened before the division, which cuts digits off, so that the
        -- cast rounds.
        cast(
            cast(cumulative_revenue as decimal(24,6)) / cohort_customers
            as decimal(18,6)
        ) as cumulative_revenue_per_customer,
        is_complete,
        is_left_truncated

    from accumulated

)

select * from final
