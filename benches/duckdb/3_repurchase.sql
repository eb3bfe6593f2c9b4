-- Who buys again, how often and how soon.

copy (
    with sales as (
        select
            month_of(order_date) as period,
            count(*) as orders,
            count(case when order_number > 1 then 1 end) as repeat_orders,
            sum(net) as revenue,
            sum(case when order_number > 1 then net end) as repeat_revenue
        from orders
        group by period
    ),
    buyers as (
        select
            period,
            count(*) as customers,
            count(case when orders > 1 then 1 end) as in_period_repeat_customers,
            count(case when period > cohort_period then 1 end)
                as returning_customers,
            count(case when period > cohort_period or orders > 1 then 1 end)
                as reordering_customers,
            count(case when previous_active_period = period - 1 then 1 end)
                as buy_back_customers
        from customer_periods
        group by period
    ),
    spans as (
        select
            'period' as span,
            period_start,
            is_complete,
            coalesce(customers, 0) as customers,
            coalesce(orders, 0) as orders,
            coalesce(customers - returning_customers, 0) as new_customers,
            null::bigint as repeat_customers,
            coalesce(in_period_repeat_customers, 0) as in_period_repeat_customers,
            coalesce(returning_customers, 0) as returning_customers,
            coalesce(reordering_customers, 0) as reordering_customers,
            coalesce(lag(customers) over (order by period), 0)
                as previous_customers,
            coalesce(buy_back_customers, 0) as buy_back_customers,
            coalesce(repeat_orders, 0) as repeat_orders,
            coalesce(revenue, 0) as revenue,
            coalesce(repeat_revenue, 0) as repeat_revenue
        from periods
        left join sales using (period)
        left join buyers using (period)
        union all
        select
            'all',
            (select min(period_start) from periods),
            true,
            count(*),
            sum(orders),
            count(*),
            count(case when orders > 1 then 1 end),
            null, null, null, null, null,
            (select sum(repeat_orders) from sales),
            (select sum(revenue) from sales),
            (select sum(repeat_revenue) from sales)
        from customers
    )
    select
        span,
        period_start,
        is_complete,
        customers,
        orders::bigint as orders,
        orders / nullif(customers, 0) as purchases_per_customer,
        new_customers,
        repeat_customers,
        repeat_customers / nullif(customers, 0) as customer_repurchase_rate,
        in_period_repeat_customers,
        in_period_repeat_customers / nullif(customers, 0)
            as in_period_repeat_rate,
        returning_customers,
        returning_customers / nullif(customers, 0) as returning_share,
        reordering_customers,
        reordering_customers / nullif(customers, 0) as returning_customer_rate,
        previous_customers,
        buy_back_customers,
        buy_back_customers / nullif(previous_customers, 0) as buy_back_rate,
        repeat_orders::bigint as repeat_orders,
        repeat_orders / nullif(orders, 0) as order_repurchase_rate,
        revenue::decimal(18, 2) as revenue,
        repeat_revenue::decimal(18, 2) as repeat_revenue,
        repeat_revenue::double / nullif(revenue::double, 0)
            as repeat_revenue_share
    from spans
) to '{out}/metrics.repurchase_summary.parquet'
    (format parquet, compression zstd, compression_level 1);

copy (
    with tries as (
        select
            month_of(first_order_date) as cohort_period,
            window_days,
            tenure_days >= window_days as is_observed,
            second_purchase_date - first_order_date <= window_days as is_back
        from customers
        cross join (select unnest([30, 60, 90, 180, 365]) as window_days)
    )
    select
        month_start(cohort_period) as cohort_start,
        window_days,
        count(*) as cohort_customers,
        count(case when is_observed then 1 end) as eligible_customers,
        count(case when is_observed and is_back then 1 end)
            as repurchase_customers,
        repurchase_customers / nullif(eligible_customers, 0) as repurchase_rate,
        cohort_customers = eligible_customers as is_complete,
        cohort_period = (select min(period) from periods) as is_left_truncated
    from tries
    group by cohort_period, window_days
) to '{out}/metrics.repurchase_windows.parquet'
    (format parquet, compression zstd, compression_level 1);

copy (
    with steps as (
        select
            order_number,
            date '{as_of}' - order_date >= 180 as is_eligible,
            case
                when is_eligible and next_order_date - order_date <= 180
                    then next_order_date - order_date
            end as days_to_next
        from orders
    )
    select
        order_number,
        count(*) as customers,
        count(case when is_eligible then 1 end) as eligible_customers,
        count(days_to_next) as converted_customers,
        converted_customers / nullif(eligible_customers, 0) as conversion_rate,
        median(days_to_next) as median_days_to_next
    from steps
    group by order_number
) to '{out}/metrics.repurchase_steps.parquet'
    (format parquet, compression zstd, compression_level 1);

create temp table gap_histogram as
with gaps as (
    select days_since_previous as gap_days, count(*) as gaps
    from orders
    where days_since_previous is not null
    group by gap_days
),
based as (
    select 'order' as basis, * from gaps
    union all
    select 'day' as basis, * from gaps where gap_days > 0
)
select
    *,
    sum(gaps) over (partition by basis order by gap_days)::bigint as up_to,
    sum(gaps) over (partition by basis)::bigint as all_gaps
from based;

copy (
    select
        basis,
        gap_days,
        gaps,
        gaps / all_gaps as share,
        up_to / all_gaps as cumulative_share
    from gap_histogram
) to '{out}/metrics.repurchase_gap_histogram.parquet'
    (format parquet, compression zstd, compression_level 1);

-- A quantile is read off the histogram: between the gaps at two positions.
copy (
    with quantiles as (
        select
            basis,
            percent,
            (all_gaps - 1) * percent // 100 as low,
            (all_gaps - 1) * percent % 100 / 100 as weight,
            min(case when up_to > low then gap_days end) as low_gap,
            min(case when up_to > low + 1 then gap_days end) as high_gap,
            low_gap + (coalesce(high_gap, low_gap) - low_gap) * weight as days
        from gap_histogram
        cross join (select unnest([25, 50, 75, 90]) as percent)
        group by basis, percent, all_gaps
    )
    select
        basis,
        any_value(totals.gaps) as gaps,
        any_value(mean_days) as mean_days,
        max(case when percent = 25 then days end) as p25_days,
        max(case when percent = 50 then days end) as median_days,
        max(case when percent = 75 then days end) as p75_days,
        max(case when percent = 90 then days end) as p90_days,
        any_value(max_days) as max_days
    from quantiles
    join (
        select
            basis,
            sum(gaps)::bigint as gaps,
            sum(gaps * gap_days) / sum(gaps) as mean_days,
            max(gap_days) as max_days
        from gap_histogram
        group by basis
    ) as totals using (basis)
    group by basis
) to '{out}/metrics.repurchase_cycle.parquet'
    (format parquet, compression zstd, compression_level 1);
