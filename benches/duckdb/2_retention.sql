-- Who comes back: by cohort, and after so many days.

copy (
    with activity as (
        select
            cohort_period,
            period,
            count(*) as active_customers,
            sum(orders) as orders,
            sum(revenue) as revenue
        from customer_periods
        group by cohort_period, period
    ),
    cells as (
        select
            cohorts.period_start as cohort_start,
            cohorts.is_left_truncated,
            cohorts.period as cohort_period,
            periods.period,
            periods.period_start,
            periods.is_complete,
            coalesce(activity.active_customers, 0) as active_customers,
            coalesce(activity.orders, 0) as orders,
            coalesce(activity.revenue, 0) as revenue
        from periods as cohorts
        join periods on cohorts.period <= periods.period
        left join activity
            on activity.cohort_period = cohorts.period
            and activity.period = periods.period
    ),
    accumulated as (
        select
            *,
            first_value(active_customers) over so_far as cohort_customers,
            sum(revenue) over so_far as cumulative_revenue
        from cells
        window so_far as (partition by cohort_period order by period)
    )
    select
        cohort_start,
        period - cohort_period as period_index,
        period_start,
        cohort_customers,
        active_customers,
        active_customers / cohort_customers as retention_rate,
        orders::bigint as orders,
        revenue::decimal(18, 2) as revenue,
        revenue::decimal(18, 2) as order_revenue,
        cumulative_revenue::decimal(18, 2) as cumulative_revenue,
        (cumulative_revenue::double / cohort_customers)::decimal(18, 6)
            as cumulative_revenue_per_customer,
        is_complete,
        is_left_truncated
    from accumulated
    where cohort_customers > 0
) to '{out}/metrics.cohort_retention.parquet'
    (format parquet, compression zstd, compression_level 1);

-- Of a customer's returns only the first on or after a window's day decides.
copy (
    with windows as (
        select
            window_days,
            lead(window_days) over (order by window_days) as next_window_days
        from (select unnest([1, 3, 7, 14, 30, 60, 90, 180, 365]) as window_days)
    ),
    trials as (
        select window_days, 'exact' as method, window_days as first_day,
            window_days as last_day, window_days as needed_days
        from windows
        union all
        select window_days, 'within', 1, window_days, window_days from windows
        union all
        select window_days, 'after', window_days, null, window_days from windows
        union all
        select window_days, 'bracket', window_days, next_window_days - 1,
            next_window_days - 1
        from windows where next_window_days is not null
    ),
    days as (
        select
            previous_order_date - first_order_date as day_before,
            order_date - first_order_date as return_day,
            date '{as_of}' - first_order_date as observed_days,
            count(*) as customers
        from orders
        where order_date > previous_order_date
            and previous_order_date - first_order_date < 365
        group by all
    ),
    observed as (
        select tenure_days as observed_days, count(*) as customers
        from customers
        group by all
    ),
    eligible as (
        select window_days, method, sum(customers) as eligible_customers
        from trials
        left join observed on needed_days <= observed_days
        group by all
    ),
    retained as (
        select window_days, method, sum(customers) as retained_customers
        from trials
        join days
            on day_before < first_day
            and return_day >= first_day
            and needed_days <= observed_days
            and coalesce(return_day <= last_day, true)
        group by all
    )
    select
        window_days,
        method,
        coalesce(eligible_customers, 0)::bigint as eligible_customers,
        coalesce(retained_customers, 0)::bigint as retained_customers,
        coalesce(retained_customers, 0) / nullif(eligible_customers, 0)
            as retention_rate
    from eligible
    left join retained using (window_days, method)
) to '{out}/metrics.retention_windows.parquet'
    (format parquet, compression zstd, compression_level 1);
