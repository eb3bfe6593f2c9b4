-- What customers are worth.
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
            count(*) as customers,
            count(case when orders_last_year > 0 then 1 end) as buyers,
            sum(orders_last_year)::bigint as orders,
            sum(net_last_year) as revenue,
            avg(greatest(tenure_days, 30)) / 365 as lifespan_years,
            sum(
                case
                    when orders_last_year > 0
                        then least(greatest(tenure_days, 30), 365)
                end
            ) / 365 as customer_years,
            sum(net)::double / count(*) as received,
            count(case when orders_year_before > 0 then 1 end) as buyers_before,
            count(
                case when orders_year_before > 0 and orders_last_year = 0 then 1 end
            ) as churned_buyers
        from scopes
        group by scope, scope_value
    )
    select
        scope,
        scope_value,
        customers,
        buyers,
        orders,
        revenue::decimal(18, 2) as revenue,
        revenue::decimal(18, 2) as margin,
        (revenue::double / nullif(orders, 0))::decimal(18, 2)
            as average_order_value,
        orders / nullif(buyers, 0) as frequency,
        (revenue::double / nullif(buyers, 0))::decimal(18, 2) as customer_value,
        orders / customer_years as yearly_frequency,
        lifespan_years,
        received::decimal(18, 2) as mean_net,
        greatest(
            revenue::double / customer_years * lifespan_years, received
        )::decimal(18, 2) as ltv,
        case
            when history_days >= 730
                then churned_buyers / nullif(buyers_before, 0)
        end as yearly_churn,
        1 / nullif(yearly_churn, 0) as churn_lifespan_years,
        case
            when orders = 0 then received
            when yearly_churn > 0
                then greatest(
                    revenue::double / customer_years / yearly_churn, received
                )
        end::decimal(18, 2) as ltv_by_churn
    from totals
    cross join assumptions
) to '{out}/metrics.value_formulas.parquet'
    (format parquet, compression zstd, compression_level 1);

copy (
    with observed as (
        select net_of_returns::double as net
        from customers
        where tenure_days >= 365
    ),
    first_year as (
        select avg(least(net, (select quantile_cont(net, 0.95) from observed))) as net
        from observed
    ),
    valued as (
        select
            customer_id,
            customers.net,
            case
                when tenure_days >= 365 then 'own'
                else 'blended'
            end as basis,
            case
                when tenure_days >= 365 then net_last_year::double
                else
                    net_of_returns::double
                    + (1 - tenure_days / 365) * coalesce(first_year.net, 0)
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
