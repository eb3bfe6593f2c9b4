-- metrics.value_formulas: what is a customer worth by the formulas of the textbook?
--
-- grain   scope, scope_value
-- reads   facts.orders, facts.customers, facts.customer_margins, metrics.rfm_scores,
--         metrics.value_assumptions
-- params  as_of, margin_rate
--
-- scope                 text           all, channel, store, cohort_year or segment
-- scope_value           text           all; the channel or store of the order; the
--                                      year of the customer's first order; the RFM
--                                      class. What is not known stands in no row
-- customers             bigint         everyone of the scope who ever bought in it
-- buyers                bigint         distinct customers of the last 365 days
-- orders                bigint         their orders
-- revenue               decimal(18,2)  net of all refunds of these orders
-- margin                decimal(18,2)  revenue - cost of the orders whose cost is
--                                      known, revenue × $margin_rate of the others
-- average_order_value   decimal(18,2)  revenue / orders
-- frequency             double         orders / buyers
-- customer_value        decimal(18,2)  average order value × frequency: what a buyer
--                                      brought in these days
-- yearly_frequency      double         orders / customer-years: of each buyer the part
--                                      of the 365 days since the first purchase, at
--                                      least 30 days
-- lifespan_years        double         mean tenure of the customers, each at least 30
--                                      days, in years of 365 days: a lower bound,
--                                      their lives go on
-- mean_net              decimal(18,2)  what a customer has brought so far in the scope
-- ltv                   decimal(18,2)  average order value × yearly_frequency ×
--                                      lifespan_years, but no less than mean_net
-- yearly_churn          double         of the buyers of the 365 days that end a year
--                                      before, the share that did not buy in the last
--                                      365; null without any, or under two years of
--                                      history
-- churn_lifespan_years  double         1 / yearly_churn; null if nobody left
-- ltv_by_churn          decimal(18,2)  ltv with churn_lifespan_years
-- cac                   decimal(18,2)  mean acquisition cost of the customers for whom
--                                      it is known; null if for none
-- revenue_cac_ratio     double         ltv / cac
-- ltv_cac_ratio         double         the same of the margin, no less than the margin
--                                      so far
-- meets_3x              boolean        ltv_cac_ratio is at least 3; null without cac
--
-- A column that divides by buyers, orders or cac is null where there are none; ltv is
-- mean_net without orders. A customer of two channels is one in each; scopes are not
-- to be added up. The tenure of who is known from before is that of the history.

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

),

margins as (

    select
        customer_id,
        revenue,
        margin

    from facts.customer_margins

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

customers as (

    select
        customers.customer_id,
        case
            when not customers.is_known_before
                then cast(date_part('year', customers.first_order_date) as bigint)
        end as cohort_year,
        greatest(
            case
                when customers.is_known_before then assumptions.history_days
                else customers.tenure_days
            end,
            30
        ) as tenure_days,
        customers.acquisition_cost

    from assumptions

    cross join facts.customers as customers

),

recent as (

    select
        customer_id,

        count(case when age_days < 365 then 1 end) as orders,
        count(case when age_days >= 365 then 1 end) as orders_before,
        sum(case when age_days < 365 then net end) as revenue,
        sum(case when age_days < 365 then margin end) as margin

    from orders

    where age_days < 730

    group by customer_id

),

-- What each customer bought, in all and through every channel and store.
bought as (

    select
        margins.customer_id,
        'customer' as kind,
        'all' as place,

        coalesce(recent.orders, 0) as orders,
        coalesce(recent.orders_before, 0) as orders_before,
        recent.revenue,
        recent.margin,
        margins.revenue as revenue_so_far,
        margins.margin as margin_so_far

    from recent

    right join margins
        on recent.customer_id = margins.customer_id

    union all

    select
        customer_id,
        'channel' as kind,
        channel as place,

        count(case when age_days < 365 then 1 end) as orders,
        count(case when age_days between 365 and 729 then 1 end)
            as orders_before,
        sum(case when age_days < 365 then net end) as revenue,
        sum(case when age_days < 365 then margin end) as margin,
        sum(net) as revenue_so_far,
        sum(margin) as margin_so_far

    from orders

    where channel is not null

    group by customer_id, channel

    union all

    select
        customer_id,
        'store' as kind,
        store as place,

        count(case when age_days < 365 then 1 end) as orders,
        count(case when age_days between 365 and 729 then 1 end)
            as orders_before,
        sum(case when age_days < 365 then net end) as revenue,
        sum(case when age_days < 365 then margin end) as margin,
        sum(net) as revenue_so_far,
        sum(margin) as margin_so_far

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

        count(*) as customers,
        count(case when bought.orders > 0 then 1 end) as buyers,
        sum(bought.orders) as orders,
        sum(bought.revenue) as revenue,
        sum(bought.margin) as margin,
        sum(bought.revenue_so_far) as revenue_so_far,
        sum(bought.margin_so_far) as margin_so_far,
        sum(customers.tenure_days) as tenure_days,
        sum(
            case
                when bought.orders > 0 then least(customers.tenure_days, 365)
            end
        ) as buyer_days,
        sum(customers.acquisition_cost) as acquisition_cost,
        count(customers.acquisition_cost) as customers_with_cost,
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

        sum(customers) as customers,
        sum(buyers) as buyers,
        sum(orders) as orders,
        coalesce(sum(revenue), 0) as revenue,
        coalesce(sum(margin), 0) as margin,
        sum(revenue_so_far) as revenue_so_far,
        sum(margin_so_far) as margin_so_far,
        sum(tenure_days) as tenure_days,
        sum(buyer_days) as buyer_days,
        sum(acquisition_cost) as acquisition_cost,
        sum(customers_with_cost) as customers_with_cost,
        sum(buyers_before) as buyers_before,
        sum(churned_buyers) as churned_buyers

    from scoped

    where scope_value is not null

    group by scope, scope_value

),

rated as (

    select
        totals.*,
        cast(totals.tenure_days as double)
        / (cast(totals.customers as double) * 365) as lifespan_years,
        case
            when assumptions.history_days >= 730 then
                cast(totals.churned_buyers as double)
                / nullif(totals.buyers_before, 0)
        end as yearly_churn,
        cast(totals.acquisition_cost as double)
        / nullif(totals.customers_with_cost, 0) as cost_per_customer

    from totals

    cross join assumptions

),

-- Orders, years of buyers and orders again: what is the same above and below the line
-- is left out. Without orders only what came so far counts.
lived as (

    select
        *,
        greatest(
            coalesce(
                cast(revenue as double) * 365 / buyer_days * lifespan_years,
                cast(revenue_so_far as double) / customers
            ),
            cast(revenue_so_far as double) / customers
        ) as revenue_per_life,
        greatest(
            coalesce(
                cast(margin as double) * 365 / buyer_days * lifespan_years,
                cast(margin_so_far as double) / customers
            ),
            cast(margin_so_far as double) / customers
        ) as margin_per_life

    from rated

),

-- Money comes of one division of exact numbers each, so that it is rounded once.
final as (

    select
        scope,
        scope_value,

        customers,
        buyers,
        orders,
        cast(revenue as decimal(18,2)) as revenue,
        cast(margin as decimal(18,2)) as margin,
        cast(revenue / nullif(orders, 0) as decimal(18,2))
            as average_order_value,
        cast(orders as double) / nullif(buyers, 0) as frequency,
        cast(revenue / nullif(buyers, 0) as decimal(18,2)) as customer_value,
        cast(orders as double) * 365 / buyer_days as yearly_frequency,
        lifespan_years,
        cast(revenue_so_far / customers as decimal(18,2)) as mean_net,
        greatest(
            coalesce(
                cast(
                    revenue * tenure_days
                    / (cast(buyer_days as decimal(19,0)) * customers)
                    as decimal(18,2)
                ),
                cast(revenue_so_far / customers as decimal(18,2))
            ),
            cast(revenue_so_far / customers as decimal(18,2))
        ) as ltv,
        yearly_churn,
        1 / nullif(yearly_churn, 0) as churn_lifespan_years,
        case
            when orders = 0 then cast(revenue_so_far / customers as decimal(18,2))
            when yearly_churn > 0 then
                greatest(
                    cast(
                        revenue * 365 * buyers_before
                        / nullif(
                            cast(buyer_days as decimal(19,0)) * churned_buyers, 0
                        ) as decimal(18,2)
                    ),
                    cast(revenue_so_far / customers as decimal(18,2))
                )
        end as ltv_by_churn,
        cast(acquisition_cost / nullif(customers_with_cost, 0) as decimal(18,2))
            as cac,
        revenue_per_life / nullif(cost_per_customer, 0) as revenue_cac_ratio,
        margin_per_life / nullif(cost_per_customer, 0) as ltv_cac_ratio,
        -- What is 3 comes out a hair above or below it.
        round(margin_per_life / nullif(cost_per_customer, 0), 9) >= 3
            as meets_3x

    from lived

)

select * from final
