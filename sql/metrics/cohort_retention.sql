-- metrics.cohort_retention: of the customers won in a period, how many order again
-- later, and what do they bring?
--
-- grain   cohort_start, period_index
-- reads   facts.cohort_activity, facts.periods
-- params  none
--
-- cohort_start                     date           first day of the period of a
--                                                 customer's first order
-- period_index                     bigint         0 is the cohort's own period, where
--                                                 the rate is 1 by definition
-- period_start                     date           first day of the period looked at
-- cohort_customers                 bigint         customers won in the cohort's period
-- active_customers                 bigint         those with an order in the period
-- retention_rate                   double         active / cohort customers
-- orders                           bigint         their orders in the period
-- revenue                          decimal(18,2)  net of the refunds made in it; may
--                                                 be below 0
-- order_revenue                    decimal(18,2)  net of the orders of the period,
--                                                 whenever their refunds came
-- cumulative_revenue               decimal(18,2)  revenue from index 0 to here
-- cumulative_revenue_per_customer  decimal(18,6)  that / cohort_customers
-- is_complete                      boolean        $as_of does not cut the period short
-- is_left_truncated                boolean        the first cohort of the history, if
--                                                 some of its customers may be older:
--                                                 see facts.periods
--
-- Dense: every cohort with a customer, every period up to that of $as_of; an idle
-- cell is 0. The cell of a period that $as_of cuts short is shown and flagged. Who is
-- known from before (facts.known_before) is in no cohort. Both revenues add up to the
-- same total; order_revenue of a closed period still falls while refunds come in.

with

activity as (

    select
        cohort_period,
        period,
        active_customers,
        orders,
        revenue,
        order_revenue

    from facts.cohort_activity

),

periods as (

    select
        period,
        period_start,
        is_complete,
        is_left_truncated

    from facts.periods

),

cells as (

    select
        cohorts.period as cohort_period,
        cohorts.period_start as cohort_start,
        cohorts.is_left_truncated,
        periods.period,
        periods.period_start,
        periods.is_complete

    from periods as cohorts

    inner join periods
        on cohorts.period <= periods.period

),

filled as (

    select
        cells.*,

        coalesce(activity.active_customers, 0) as active_customers,
        coalesce(activity.orders, 0) as orders,
        coalesce(activity.revenue, 0) as revenue,
        coalesce(activity.order_revenue, 0) as order_revenue

    from cells

    left join activity
        on cells.cohort_period = activity.cohort_period
        and cells.period = activity.period

),

accumulated as (

    select
        *,

        first_value(active_customers) over so_far as cohort_customers,
        sum(revenue) over so_far as cumulative_revenue

    from filled

    window so_far as (
        partition by cohort_period
        order by period
        rows between unbounded preceding and current row
    )

),

final as (

    select
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

    -- A period that won nobody is no cohort.
    where cohort_customers > 0

)

select * from final
