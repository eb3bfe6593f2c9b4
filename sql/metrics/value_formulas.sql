-- metrics.value_formulas: what is a customer worth by the formulas of the textbook?
--
-- grain   scope, scope_value
-- reads   facts.orders, facts.customers, metrics.rfm_scores, metrics.value_assumptions
-- params  as_of, margin_rate
--
-- scope                text           all, channel, store, cohort_year or segment
-- scope_value          text           all; the channel or store of the order; the
--                                     year of the customer's first order; the RFM
--                                     class. What is not known stands in no row
-- buyers               bigint         distinct customers of the last 365 days
-- orders               bigint         their orders
-- revenue              decimal(18,2)  net of all refunds of these orders
-- margin               decimal(18,2)  revenue - cost of the orders whose cost is
--                                     known, revenue × $margin_rate of the others
-- average_order_value  decimal(18,2)  revenue / orders
-- frequency            double         orders / buyers
-- customer_value       decimal(18,2)  average order value × frequency: a year of a
--                                     buyer
-- lifespan_years       double         mean tenure of the buyers, in years of 365
--                                     days: a lower bound, their lives go on
-- ltv                  decimal(18,2)  customer_value × lifespan_years
-- yearly_churn         double         of the buyers of the 365 days that end a year
--                                     before, the share that did not buy in the last
--                                     365; null without any, or under two years of
--                                     history
-- churn_lifespan_years  double        1 / yearly_churn; null if nobody left
-- churn_ltv            decimal(18,2)  customer_value × churn_lifespan_years
-- cac                  decimal(18,2)  mean acquisition cost of the buyers for whom
--                                     it is known; null if for none
-- revenue_cac_ratio    double         ltv / cac
-- ltv_cac_ratio        double         its margin / cac
-- meets_3x             boolean        ltv_cac_ratio is at least 3; null without cac
--
-- A column that divides by buyers, orders or cac is null where there are none. A
-- customer of two channels is a buyer in each; scopes are not to be added up.

with

orders as (

    select
        customer_id,
        $as_of - order_date as age_days,
        net,
        case
            when cost is null then net * cast($margin_rate as decimal(9,6))
            else net - cost
        end as margin,
        channel,
        store

    from facts.orders

    where order_date > $as_of - interval '730' day

),

customers as (

    select
        customer_id,
        cast(date_part('year', first_order_date) as bigint) as cohort_year,
        tenure_days,
        acquisition_cost

    from facts.customers

),

segments as (

    select
        customer_id,
        segment

    from metrics.rfm_scores

    where scope = 'all'

),

assumptions as (

    select
        history_days

    from metrics.value_assumptions

),

-- What each customer bought, in all and through every channel and store.
bought as (

    select
        customer_id,
        'customer' as kind,
        'all' as place,

        count(case when age_days < 365 then 1 end) as orders,
        count(case when age_days >= 365 then 1 end) as orders_before,
        sum(case when age_days < 365 then net end) as revenue,
        sum(case when age_days < 365 then margin end) as margin

    from orders

    group by customer_id

    union all

    select
        customer_id,
        'channel' as kind,
        channel as place,

        count(case when age_days < 365 then 1 end) as orders,
        count(case when age_days >= 365 then 1 end) as orders_before,
        sum(case when age_days < 365 then net end) as revenue,
        sum(case when age_days < 365 then margin end) as margin

    from orders

    where channel is not null

    group by customer_id, channel

    union all

    select
        customer_id,
        'store' as kind,
        store as place,

        count(case when age_days < 365 then 1 end) as orders,
        count(case when age_days >= 365 then 1 end) as orders_before,
        sum(case when age_days < 365 then net end) as revenue,
        sum(case when age_days < 365 then margin end) as margin

    from orders

    where store is not null

    group by customer_id, store

),

-- Customers alike are counted first: few rows, which find their scopes.
cells as (

    select
        bought.kind,
        bought.place,
        customers.cohort_year,
        segments.segment,

        count(case when bought.orders > 0 then 1 end) as buyers,
        sum(bought.orders) as orders,
        sum(bought.revenue) as revenue,
        sum(bought.margin) as margin,
        sum(case when bought.orders > 0 then customers.tenure_days end)
            as tenure_days,
        sum(case when bought.orders > 0 then customers.acquisition_cost end)
            as acquisition_cost,
        count(case when bought.orders > 0 then customers.acquisition_cost end)
            as buyers_with_cost,
        count(case when bought.orders_before > 0 then 1 end) as buyers_before,
        count(
            case when bought.orders_before > 0 and bought.orders = 0 then 1 end
        ) as churned_buyers

    from bought

    inner join customers
        on bought.customer_id = customers.customer_id

    left join segments
        on bought.customer_id = segments.customer_id

    group by
        bought.kind,
        bought.place,
        customers.cohort_year,
        segments.segment

),

scopes as (

    select *

    from (
        values
            ('all', 'customer'),
            ('channel', 'channel'),
            ('store', 'store'),
            ('cohort_year', 'customer'),
            ('segment', 'customer')
    ) as scopes_of_kinds (scope, kind)

),

scoped as (

    select
        cells.*,
        scopes.scope,
        case
            when scopes.scope = 'cohort_year'
                then cast(cells.cohort_year as varchar)
            when scopes.scope = 'segment' then cells.segment
            else cells.place
        end as scope_value

    from cells

    inner join scopes
        on cells.kind = scopes.kind

),

totals as (

    select
        scope,
        scope_value,

        sum(buyers) as buyers,
        sum(orders) as orders,
        coalesce(sum(revenue), 0) as revenue,
        coalesce(sum(margin), 0) as margin,
        sum(tenure_days) as tenure_days,
        sum(acquisition_cost) as acquisition_cost,
        sum(buyers_with_cost) as buyers_with_cost,
        sum(buyers_before) as buyers_before,
        sum(churned_buyers) as churned_buyers

    from scoped

    where scope_value is not null

    group by scope, scope_value

),

rated as (

    select
        totals.*,
        cast(totals.revenue as double) / nullif(totals.buyers, 0)
            as revenue_per_buyer,
        cast(totals.margin as double) / nullif(totals.buyers, 0)
            as margin_per_buyer,
        cast(totals.tenure_days as double)
        / (nullif(totals.buyers, 0) * 365) as lifespan_years,
        case
            when assumptions.history_days >= 730 then
                cast(totals.churned_buyers as double)
                / nullif(totals.buyers_before, 0)
        end as yearly_churn,
        cast(totals.acquisition_cost as double)
        / nullif(totals.buyers_with_cost, 0) as cost_per_buyer

    from totals

    cross join assumptions

),

compared as (

    select
        *,
        revenue_per_buyer * lifespan_years / nullif(cost_per_buyer, 0)
            as revenue_cac_ratio,
        margin_per_buyer * lifespan_years / nullif(cost_per_buyer, 0)
            as ltv_cac_ratio

    from rated

),

-- Money comes of one division of exact numbers each, so that it is rounded once.
final as (

    select
        scope,
        scope_value,

        buyers,
        orders,
        cast(revenue as decimal(18,2)) as revenue,
        cast(margin as decimal(18,2)) as margin,
        cast(revenue / nullif(orders, 0) as decimal(18,2))
            as average_order_value,
        cast(orders as double) / nullif(buyers, 0) as frequency,
        cast(revenue / nullif(buyers, 0) as decimal(18,2)) as customer_value,
        lifespan_years,
        cast(
            revenue * tenure_days
            / (cast(nullif(buyers, 0) as decimal(19,0)) * buyers * 365)
            as decimal(18,2)
        ) as ltv,
        yearly_churn,
        1 / nullif(yearly_churn, 0) as churn_lifespan_years,
        cast(
            case
                when yearly_churn > 0 then
                    revenue * buyers_before
                    / nullif(cast(buyers as decimal(19,0)) * churned_buyers, 0)
            end as decimal(18,2)
        ) as churn_ltv,
        cast(acquisition_cost / nullif(buyers_with_cost, 0) as decimal(18,2))
            as cac,
        revenue_cac_ratio,
        ltv_cac_ratio,
        -- What is 3 comes out a hair above or below it.
        round(ltv_cac_ratio, 9) >= 3 as meets_3x

    from compared

)

select * from final
