-- The core tables in DuckDB, as an analyst would write them by hand: the facts. The
-- other files here follow in the order of their names, in the same session.
--
-- {orders}, {as_of}, {out} and {threads} are filled in by run_duckdb.py: the files
-- read, the last day counted, the folder written to. Definitions are those of the
-- headers in sql/ at the default parameters. What several tables need is computed
-- once; all else is written straight to Parquet. Orders carry no refunds, costs,
-- channels or stores here, so columns that would be empty or mere copies are left
-- out.

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
    sum(case when order_date - first_order_date between 1 and 365 then net else 0 end)
        ::decimal(18, 2) as net_of_returns,
    count(case when date '{as_of}' - order_date < 365 then 1 end)
        as orders_last_year,
    count(case when date '{as_of}' - order_date between 365 and 729 then 1 end)
        as orders_year_before
from orders
group by customer_id;

copy (
    select
        * exclude (
            net_last_year, net_of_returns, orders_last_year, orders_year_before
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
