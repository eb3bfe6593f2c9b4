-- The core tables in DuckDB, as an analyst would write them by hand.
--
-- {orders}, {as_of} and {out} are filled in by run_duckdb.py: the files read, the
-- last day counted, the folder written to. Definitions are those of the headers in
-- sql/ at the default parameters. What several tables need is computed once; all
-- else is written straight to Parquet. Orders carry no refunds, costs, channels or
-- stores here, so columns that would be empty or mere copies are left out.

set threads = {threads};
set preserve_insertion_order = false;

create macro month_of(day) as year(day) * 12 + month(day) - 1;

create macro month_start(period) as make_date(period // 12, period % 12 + 1, 1);

-- One sort gives an order its place; every later step reads it from here.
create temp table orders as
select
    o_orderkey as order_id,
    o_custkey as customer_id,
    cast(o_orderdate as timestamp) as ordered_at,
    cast(o_orderdate as date) as order_date,
    row_number() over life as order_number,
    lag(order_id) over life as previous_order_id,
    lag(order_date) over life as previous_order_date,
    order_date - lag(order_date) over life as days_since_previous,
    dense_rank() over (partition by customer_id order by order_date)
        as purchase_day_number,
    lead(order_date) over life as next_order_date,
    first_value(order_date) over life as first_order_date,
    cast(o_totalprice as decimal(18, 2)) as net
from read_parquet('{orders}')
where cast(o_orderdate as date) <= date '{as_of}'
window life as (partition by customer_id order by order_date, ordered_at, order_id);

copy orders to '{out}/facts.orders.parquet'
    (format parquet, compression zstd, compression_level 1);

create temp table customers as
select
    customer_id,
    max(case when order_number = 1 then order_id end) as first_order_id,
    min(ordered_at) as first_order_at,
    min(order_date) as first_order_date,
    min(case when purchase_day_number = 2 then order_date end)
        as second_purchase_date,
    max(ordered_at) as last_order_at,
    max(order_date) as last_order_date,
    count(*) as orders,
    max(purchase_day_number) as purchase_days,
    sum(net)::decimal(18, 2) as net,
    date '{as_of}' - min(order_date) as tenure_days,
    date '{as_of}' - max(order_date) as recency_days,
    sum(case when date '{as_of}' - order_date < 365 then net else 0 end)
        ::decimal(18, 2) as net_last_year,
    sum(case when order_date - first_order_date < 365 then net else 0 end)
        ::decimal(18, 2) as net_first_year,
    count(case when date '{as_of}' - order_date < 365 then 1 end)
        as orders_last_year,
    count(case when date '{as_of}' - order_date between 365 and 729 then 1 end)
        as orders_year_before
from orders
group by customer_id;

copy (
    select
        * exclude (
            net_last_year, net_first_year, orders_last_year, orders_year_before
        ),
        round(net::double / orders, 2)::decimal(18, 2) as average_order_value
    from customers
) to '{out}/facts.customers.parquet'
    (format parquet, compression zstd, compression_level 1);

create temp table periods as
select
    period,
    month_start(period) as period_start,
    last_day(month_start(period)) as period_end,
    last_day(month_start(period)) <= date '{as_of}' as is_complete,
    period = min(period) over () as is_left_truncated
from (
    select unnest(range(
        (select month_of(min(first_order_date)) from customers),
        month_of(date '{as_of}') + 1
    )) as period
);

create temp table customer_periods as
with months as (
    select
        customer_id,
        month_of(order_date) as period,
        month_of(min(first_order_date)) as cohort_period,
        count(*) as orders,
        max(purchase_day_number) as purchase_days_to_date,
        max(purchase_day_number) - min(purchase_day_number) + 1 as purchase_days,
        sum(net)::decimal(18, 2) as revenue
    from orders
    group by customer_id, period
)
select
    *,
    lag(period) over life as previous_active_period,
    lead(period) over life as next_active_period,
    sum(revenue) over (
        partition by customer_id order by period
        range between 11 preceding and current row
    ) as revenue_of_year,
    sum(revenue) over (
        partition by customer_id order by period
        range between 12 preceding and 1 preceding
    ) as revenue_of_year_before
from months
window life as (partition by customer_id order by period);

copy (
    select
        customer_id,
        period,
        month_start(period) as period_start,
        cohort_period,
        month_start(cohort_period) as cohort_start,
        period - cohort_period as period_index,
        orders,
        purchase_days,
        revenue,
        previous_active_period,
        next_active_period,
        last_day(month_start(period)) <= date '{as_of}' as is_complete
    from customer_periods
) to '{out}/facts.customer_periods.parquet'
    (format parquet, compression zstd, compression_level 1);

-- Retention ---------------------------------------------------------------------

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

-- Repurchase --------------------------------------------------------------------

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
            null::bigint as repeat_customers,
            coalesce(in_period_repeat_customers, 0) as in_period_repeat_customers,
            coalesce(returning_customers, 0) as returning_customers,
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
            count(case when orders > 1 then 1 end),
            null, null, null, null,
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
        repeat_customers,
        repeat_customers / nullif(customers, 0) as customer_repurchase_rate,
        in_period_repeat_customers,
        in_period_repeat_customers / nullif(customers, 0)
            as in_period_repeat_rate,
        returning_customers,
        returning_customers / nullif(customers, 0) as returning_share,
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

-- RFM ---------------------------------------------------------------------------

create temp table segments as
select * from (
    values
        (true, true, true, 'important_value', 'important value', '重要价值',
            'serve first: best people, early access, no discount needed',
            '优先服务：专人维护，新品优先，无需打折'),
        (true, false, true, 'important_development', 'important development',
            '重要发展',
            'raise frequency: membership, packages, the next appointment',
            '提升频次：会员、套餐、预约下次到店'),
        (false, true, true, 'important_keep', 'important keep', '重要保持',
            'keep the rhythm: a satisfaction call before the habit breaks',
            '保持节奏：满意度回访，主动联系'),
        (false, false, true, 'important_win_back', 'important win-back',
            '重要挽留',
            'win back: ask in person what went wrong, make an offer',
            '重点挽留：一对一询问流失原因，给出专属方案'),
        (true, true, false, 'general_value', 'general value', '一般价值',
            'raise the basket: add-ons and better products',
            '提升客单价：连带推荐，升级产品'),
        (true, false, false, 'general_development', 'general development',
            '一般发展',
            'bring to a second purchase: welcome series, trial offer',
            '促成复购：新客关怀，体验优惠'),
        (false, true, false, 'general_keep', 'general keep', '一般保持',
            'remind at low cost: points, seasonal messages',
            '低成本提醒：积分、节日关怀'),
        (false, false, false, 'general_win_back', 'general win-back', '一般挽留',
            'mass campaigns only; let go when they do not answer',
            '仅群发活动触达，无响应则放弃')
) as rules (
    r_high, f_high, m_high, segment, name_en, name_zh, action_en, action_zh
);

create temp table rfm as
with cuts as (
    select
        quantile_cont(recency_days::double, [0.2, 0.4, 0.6, 0.8]) as r,
        quantile_cont(purchase_days::double, [0.2, 0.4, 0.6, 0.8]) as f,
        quantile_cont(net::double, [0.2, 0.4, 0.6, 0.8]) as m
    from customers
),
scored as (
    select
        customer_id,
        recency_days,
        purchase_days as frequency,
        net as monetary,
        orders,
        5 - (recency_days > r[1])::int - (recency_days > r[2])::int
            - (recency_days > r[3])::int - (recency_days > r[4])::int as r_score,
        1 + (purchase_days > f[1])::int + (purchase_days > f[2])::int
            + (purchase_days > f[3])::int + (purchase_days > f[4])::int as f_score,
        1 + (net > m[1])::int + (net > m[2])::int
            + (net > m[3])::int + (net > m[4])::int as m_score
    from customers
    cross join cuts
),
means as (
    select avg(r_score) as r, avg(f_score) as f, avg(m_score) as m from scored
),
judged as (
    select
        scored.*,
        r_score > means.r as r_high,
        f_score > means.f as f_high,
        m_score > means.m as m_high
    from scored
    cross join means
)
select judged.*, segment, action_en as action
from judged
join segments using (r_high, f_high, m_high);

copy (select * exclude (orders) from rfm)
to '{out}/metrics.rfm_scores.parquet'
    (format parquet, compression zstd, compression_level 1);

copy (
    with totals as (
        select
            segment,
            count(*) as customers,
            sum(monetary) as revenue,
            avg(recency_days) as mean_recency_days,
            median(recency_days) as median_recency_days,
            avg(frequency) as mean_frequency,
            median(frequency) as median_frequency,
            median(monetary::double) as median_monetary,
            sum(orders) as orders
        from rfm
        group by segment
    )
    select
        segment,
        name_en,
        name_zh,
        coalesce(customers, 0) as customers,
        coalesce(customers, 0) / sum(customers) over () as customer_share,
        coalesce(revenue, 0)::decimal(18, 2) as revenue,
        coalesce(revenue, 0)::double / sum(revenue) over ()::double
            as revenue_share,
        mean_recency_days,
        median_recency_days,
        mean_frequency,
        median_frequency,
        (revenue::double / customers)::decimal(18, 2) as mean_monetary,
        median_monetary::decimal(18, 2) as median_monetary,
        (revenue::double / orders)::decimal(18, 2) as average_order_value,
        row_number() over (order by coalesce(revenue, 0) desc, segment) as rank,
        action_en,
        action_zh
    from segments
    left join totals using (segment)
) to '{out}/metrics.rfm_segments.parquet'
    (format parquet, compression zstd, compression_level 1);

copy (
    select
        r_score,
        f_score,
        m_score,
        count(*) as customers,
        sum(monetary)::decimal(18, 2) as revenue,
        avg(recency_days) as mean_recency_days,
        avg(frequency) as mean_frequency,
        segment
    from rfm
    group by r_score, f_score, m_score, segment
) to '{out}/metrics.rfm_cells.parquet'
    (format parquet, compression zstd, compression_level 1);

-- Lifecycle ---------------------------------------------------------------------
--
-- One purchase day so far: new in the period of the purchase, then lost. More: active
-- (vip, if the revenue of twelve months reaches the 95 % quantile of the active),
-- dormant for three idle periods, then lost. A period that is not over is no idle one:
-- who bought in the last complete one keeps the state, and is asked for vip again.

create temp table calendar as
select
    max(period) as last_period,
    max(case when is_complete then period end) as last_complete_period
from periods;

create temp table life as
with carried as (
    select
        last.customer_id,
        any_value(last_period) as period,
        any_value(last.period) as last_active_period,
        any_value(last.purchase_days_to_date) as purchase_days_to_date,
        any_value(last.revenue_of_year) as revenue_of_year_before,
        sum(months.revenue) as revenue_of_year
    from customer_periods as last
    cross join calendar
    join customer_periods as months
        on months.customer_id = last.customer_id
        and months.period > last_period - 12
    where last.period = last_complete_period
        and last.next_active_period is null
        and last_complete_period < last_period
    group by last.customer_id
),
placed as (
    select
        customer_id,
        period,
        period as active_period,
        purchase_days_to_date,
        previous_active_period as previous_period,
        purchase_days_to_date - purchase_days = 1 as was_new,
        case
            when next_active_period is not null then next_active_period
            when period = last_complete_period and last_complete_period < last_period
                then last_period
        end as next_period,
        revenue_of_year,
        revenue_of_year_before
    from customer_periods
    cross join calendar
    union all
    select
        customer_id,
        period,
        last_active_period,
        purchase_days_to_date,
        last_active_period,
        purchase_days_to_date = 1,
        null,
        revenue_of_year,
        revenue_of_year_before
    from carried
),
bounds as (
    select period, quantile_cont(revenue_of_year::double, 0.95) as bound
    from placed
    where purchase_days_to_date > 1
    group by period
),
judged as (
    select
        placed.*,
        case
            when purchase_days_to_date = 1 then 'new'
            when revenue_of_year >= bounds.bound then 'vip'
            else 'active'
        end as state,
        case
            when previous_period is null then 'none'
            when placed.period > previous_period + 4 then 'lost'
            when placed.period = previous_period + 1 then
                case
                    when was_new then 'new'
                    when revenue_of_year_before >= before.bound then 'vip'
                    else 'active'
                end
            when was_new then 'lost'
            else 'dormant'
        end as previous_state,
        case
            when next_period is not null then next_period - 1 - placed.period
            else greatest(last_complete_period - placed.period, 0)
        end as idle_periods
    from placed
    left join bounds on bounds.period = placed.period
    left join bounds as before on before.period = placed.period - 1
    cross join calendar
)
select
    customer_id,
    period,
    active_period,
    next_period is null as is_last,
    previous_state,
    state,
    idle_periods
from judged;

copy (
    with latest as (
        select
            customer_id,
            max(active_period) as last_active_period,
            max(case when is_last then period end) as last_purchase,
            max(case when is_last then state end) as last_state,
            max(case when is_last then previous_state end) as state_before_that,
            max(case when is_last then idle_periods end) as last_idle,
            -- The latest change of state on the way.
            max(
                case
                    when state = 'new' and idle_periods > 0 then period + 1
                    when idle_periods > 3 and state <> 'new' then period + 4
                    when idle_periods > 0 then period + 1
                    when state <> previous_state then period
                end
            ) as since_period
        from life
        group by customer_id
    ),
    stated as (
        select
            *,
            case
                when last_idle = 0 then last_state
                when last_state = 'new' or last_idle > 3 then 'lost'
                else 'dormant'
            end as state
        from latest
    )
    select
        customer_id,
        state,
        case
            when last_purchase = last_period then state_before_that
            when since_period < last_period then state
            when since_period = last_purchase + 1 then last_state
            else 'dormant'
        end as state_before,
        month_start(since_period) as since_date,
        last_active_period,
        month_start(last_active_period) as last_active_start,
        greatest(last_complete_period - last_active_period, 0) as idle_periods
    from stated
    cross join calendar
) to '{out}/metrics.lifecycle_states.parquet'
    (format parquet, compression zstd, compression_level 1);

-- Counted first, then followed through the idle periods: few rows.
create temp table transitions as
with paths as (
    select
        period, previous_state, state, idle_periods, is_last,
        count(*) as customers
    from life
    group by all
),
idle as (
    select
        *,
        unnest(range(1, idle_periods + 1)) as step
    from paths
),
steps as (
    select
        period,
        previous_state as from_state,
        state as to_state,
        customers
    from paths
    union all
    select
        period + step,
        case
            when step = 1 then state
            when state = 'new' or step > 4 then 'lost'
            else 'dormant'
        end,
        case when state = 'new' or step > 3 then 'lost' else 'dormant' end,
        customers
    from idle
    union all
    select
        last_period,
        case when state = 'new' or idle_periods > 3 then 'lost' else 'dormant' end
            as stays,
        stays,
        customers
    from paths
    cross join calendar
    where is_last
        and idle_periods > 0
        and last_complete_period < last_period
)
select period, from_state, to_state, sum(customers)::bigint as customers
from steps
group by period, from_state, to_state;

copy (
    select
        period,
        from_state,
        to_state,
        period_start,
        is_complete,
        customers
    from transitions
    join periods using (period)
) to '{out}/metrics.lifecycle_transitions.parquet'
    (format parquet, compression zstd, compression_level 1);

copy (
    with flows as (
        select
            period,
            sum(customers) as customers,
            sum(customers) filter (to_state = 'new') as new,
            sum(customers) filter (to_state = 'active') as active,
            sum(customers) filter (to_state = 'vip') as vip,
            sum(customers) filter (to_state = 'dormant') as dormant,
            sum(customers) filter (to_state = 'lost') as lost,
            sum(customers) filter (
                from_state in ('dormant', 'lost') and to_state in ('active', 'vip')
            ) as reactivated,
            sum(customers) filter (from_state = 'active' and to_state = 'vip')
                as active_turned_vip,
            sum(customers) filter (from_state = 'active' and to_state = 'dormant')
                as active_turned_dormant,
            sum(customers) filter (from_state = 'vip' and to_state = 'dormant')
                as vip_turned_dormant,
            sum(customers) filter (
                from_state not in ('none', 'lost') and to_state = 'lost'
            ) as turned_lost,
            sum(customers) filter (from_state not in ('none', 'lost'))
                as not_lost_before,
            sum(customers) filter (from_state in ('dormant', 'lost'))
                as gone_before
        from transitions
        group by period
    ),
    buyers as (
        select
            period,
            count(*) as buyers,
            count(case when period = cohort_period then 1 end) as first_buyers,
            count(case when previous_active_period = period - 1 then 1 end)
                as retained
        from customer_periods
        group by period
    ),
    existing as (
        select
            month_of(order_date) as period,
            (sum(net)::double / count(*))::decimal(18, 2)
                as existing_average_order_value
        from orders
        where month_of(first_order_date) < month_of(order_date)
        group by all
    )
    select
        period,
        period_start,
        is_complete,
        flows.customers::bigint as customers,
        coalesce(columns([
            'new', 'active', 'vip', 'dormant', 'lost', 'reactivated',
            'active_turned_vip', 'active_turned_dormant', 'vip_turned_dormant',
            'turned_lost'
        ]), 0)::bigint,
        existing_average_order_value,
        coalesce(buyers, 0) as buyers,
        coalesce(first_buyers, 0) as first_buyers,
        coalesce(retained, 0) as retained,
        coalesce(buyers - first_buyers - retained, 0) as resurrected,
        coalesce(lag(buyers) over (order by period), 0) - coalesce(retained, 0)
            as lapsed,
        case
            when is_complete
                then coalesce(turned_lost, 0) / nullif(not_lost_before, 0)
        end as churn_rate,
        coalesce(reactivated, 0) / nullif(gone_before, 0) as win_back_rate
    from periods
    join flows using (period)
    left join buyers using (period)
    left join existing using (period)
) to '{out}/metrics.lifecycle_summary.parquet'
    (format parquet, compression zstd, compression_level 1);

-- Value -------------------------------------------------------------------------
--
-- Without costs the margin is the revenue ($margin_rate 1).

create temp table assumptions as
with measured as (
    select
        max(tenure_days) as history_days,
        count(case when orders_year_before > 0 and orders_last_year > 0 then 1 end)
        / nullif(count(case when orders_year_before > 0 then 1 end), 0)
            as measured_retention
    from customers
),
chosen as (
    select
        history_days,
        case
            when history_days >= 730 then coalesce(measured_retention, 0.5)
            else 0.5
        end as retention_rate
    from measured
)
select
    *,
    list_sum([(retention_rate / 1.1) ** year for year in range(1, 6)])
        as annuity_factor
from chosen;

copy (
    with scopes as (
        select *, 'all' as scope, 'all' as scope_value
        from customers
        union all
        select *, 'cohort_year', year(first_order_date)::varchar from customers
        union all
        select customers.*, 'segment', segment
        from customers
        join rfm using (customer_id)
    ),
    totals as (
        select
            scope,
            scope_value,
            count(case when orders_last_year > 0 then 1 end) as buyers,
            sum(orders_last_year)::bigint as orders,
            sum(net_last_year) as revenue,
            avg(case when orders_last_year > 0 then tenure_days end) / 365
                as lifespan_years,
            count(case when orders_year_before > 0 then 1 end) as buyers_before,
            count(
                case when orders_year_before > 0 and orders_last_year = 0 then 1 end
            ) as churned_buyers
        from scopes
        where orders_last_year + orders_year_before > 0
        group by scope, scope_value
    )
    select
        scope,
        scope_value,
        buyers,
        orders,
        revenue::decimal(18, 2) as revenue,
        revenue::decimal(18, 2) as margin,
        (revenue::double / nullif(orders, 0))::decimal(18, 2)
            as average_order_value,
        orders / nullif(buyers, 0) as frequency,
        (revenue::double / nullif(buyers, 0))::decimal(18, 2) as customer_value,
        lifespan_years,
        (revenue::double / nullif(buyers, 0) * lifespan_years)::decimal(18, 2)
            as ltv,
        case
            when history_days >= 730
                then churned_buyers / nullif(buyers_before, 0)
        end as yearly_churn,
        1 / nullif(yearly_churn, 0) as churn_lifespan_years,
        (revenue::double / nullif(buyers, 0) / nullif(yearly_churn, 0))
            ::decimal(18, 2) as churn_ltv
    from totals
    cross join assumptions
) to '{out}/metrics.value_formulas.parquet'
    (format parquet, compression zstd, compression_level 1);

copy (
    with first_year as (
        select avg(net_first_year::double) as net
        from customers
        where tenure_days >= 365
    ),
    valued as (
        select
            customer_id,
            customers.net,
            case
                when tenure_days >= 365 then 'own'
                when first_year.net is not null then 'cohort'
                else 'own so far'
            end as basis,
            case
                when tenure_days >= 365 then net_last_year::double
                else coalesce(first_year.net, customers.net::double)
            end as yearly,
            retention_rate,
            (yearly * annuity_factor)::decimal(18, 2) as current_value
        from customers
        cross join first_year
        cross join assumptions
    ),
    medians as (
        select median(current_value::double) as middle from valued
    ),
    states as (
        select
            customer_id,
            idle_periods > 0 as risk_high
        from life
        where is_last
    ),
    judged as (
        select
            valued.*,
            current_value >= middle and current_value > 0 as current_high,
            risk_high
        from valued
        cross join medians
        join states using (customer_id)
    )
    select
        customer_id,
        net as historical_revenue,
        net as historical_value,
        yearly::decimal(18, 2) as yearly_revenue,
        yearly::decimal(18, 2) as yearly_margin,
        basis,
        retention_rate,
        current_value,
        (net + current_value)::decimal(18, 2) as clv,
        current_high,
        false as potential_high,
        risk_high,
        case when current_high then 'watch' else 'low' end as clv_tier,
        case
            when current_high and risk_high
                then 'call now: much to lose, and it is going'
            when current_high then 'keep: steady care, watch the rhythm'
            else 'serve at low cost'
        end as action
    from judged
) to '{out}/metrics.customer_value.parquet'
    (format parquet, compression zstd, compression_level 1);

copy (
    with ranked as (
        select
            net,
            (row_number() over (order by net desc, customer_id) - 1) * 10
            // count(*) over () + 1 as decile
        from customers
    ),
    deciles as (
        select
            decile,
            count(*) as customers,
            sum(net) as revenue,
            min(net) as lowest_revenue,
            max(net) as highest_revenue
        from ranked
        group by decile
    )
    select
        decile,
        customers,
        revenue::decimal(18, 2) as revenue,
        revenue::double / sum(revenue) over ()::double as revenue_share,
        lowest_revenue,
        highest_revenue,
        sum(customers) over (order by decile)::bigint as cumulative_customers,
        sum(customers) over (order by decile) / sum(customers) over ()
            as cumulative_customer_share,
        (sum(revenue) over (order by decile))::decimal(18, 2)
            as cumulative_revenue,
        (sum(revenue) over (order by decile))::double
        / sum(revenue) over ()::double as cumulative_share
    from deciles
) to '{out}/metrics.value_concentration.parquet'
    (format parquet, compression zstd, compression_level 1);
