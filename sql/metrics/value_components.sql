-- metrics.value_components: what each customer was worth, is worth, could be worth.
--
-- grain   customer_id
-- reads   facts.customer_margins, facts.customers, facts.first_years,
--         metrics.value_assumptions
-- params  data_value, service_cost, upsell_success_rate, upsell_target
--
-- customer_id         id             who
-- historical_revenue  decimal(18,2)  net, over all history: the gross figure
-- margin_rate         double         margin / revenue
-- margin_basis        text           cost, rate, or cost and rate
-- service_cost        decimal(18,2)  what keeping the customer has cost so far; 0
--                                    while no service costs are read
-- acquisition_cost    decimal(18,2)  0 where it is not known
-- historical_value    decimal(18,2)  margin - service_cost - acquisition_cost
-- yearly_revenue      decimal(18,2)  what a year brings
-- yearly_margin       decimal(18,2)  its margin
-- basis               text           own: the customer's last 365 days; blended: of
--                                    who bought first within them, see below
-- current_value       decimal(18,2)  what the years to come are worth today
-- upsell_value        decimal(18,2)  what reaching $upsell_target would add; 0 where
--                                    it, or $upsell_success_rate, is not set, and for
--                                    who bought nothing in the last 365 days
-- referral_value      decimal(18,2)  0 while no referrals are read
-- potential_value     decimal(18,2)  upsell_value + referral_value
-- potential_reason    text           why a part of it is 0; null: all parts counted
--
-- current_value = yearly_margin × growing annuity factor + ($data_value -
-- $service_cost) × annuity factor, see metrics.value_assumptions.
--
-- blended: what the customer's orders brought after the first day, and for the rest of
-- the first year, (1 - tenure_days / 365) of it, the mean of those observed for a year
-- who were acquired through the same channel (of all, below 30 of them), each capped
-- at the 95 % quantile (facts.first_years); 0 where nobody was. At 365 days it is the
-- customer's own year.

with

margins as (

    select
        customer_id,
        acquisition_channel,
        tenure_days >= 365 or is_known_before as has_own_year,
        tenure_days,
        revenue,
        margin,
        margin_rate,
        margin_basis,
        revenue_last_year,
        margin_last_year,
        return_revenue,
        return_margin,
        bought_last_year

    from facts.customer_margins

),

customers as (

    select
        customer_id,
        coalesce(acquisition_cost, 0) as acquisition_cost

    from facts.customers

),

assumptions as (

    select
        annuity_factor,
        growing_annuity_factor

    from metrics.value_assumptions

),

first_years as (

    select
        scope,
        scope_value,
        customers,
        revenue,
        margin

    from facts.first_years

),

channel_years as (

    select
        scope_value as channel,
        customers,
        revenue,
        margin

    from first_years

    where scope = 'channel'
        and customers >= 30

),

-- One row, of nulls where nobody was observed for a year.
any_years as (

    select
        max(customers) as customers,
        max(revenue) as revenue,
        max(margin) as margin

    from first_years

    where scope = 'all'

),

compared as (

    select
        margins.*,
        coalesce(channel_years.customers, any_years.customers, 1)
            as shop_customers,
        coalesce(channel_years.revenue, any_years.revenue, 0) as shop_revenue,
        coalesce(channel_years.margin, any_years.margin, 0) as shop_margin

    from channel_years

    right join margins
        on channel_years.channel = margins.acquisition_channel

    cross join any_years

),

-- One division of exact numbers, so that a year is rounded once.
based as (

    select
        customer_id,
        revenue,
        margin,
        margin_rate,
        margin_basis,
        bought_last_year,
        case when has_own_year then 'own' else 'blended' end as basis,
        case
            when has_own_year then revenue_last_year
            else
                (
                    return_revenue * (shop_customers * 365)
                    + shop_revenue * (365 - tenure_days)
                ) / (shop_customers * 365)
        end as yearly_revenue,
        case
            when has_own_year then margin_last_year
            else
                (
                    return_margin * (shop_customers * 365)
                    + shop_margin * (365 - tenure_days)
                ) / (shop_customers * 365)
        end as yearly_margin

    from compared

),

valued as (

    select
        based.*,
        cast(0 as decimal(18,2)) as service_cost,
        customers.acquisition_cost,
        cast(
            cast(based.yearly_margin as double)
            * assumptions.growing_annuity_factor
            + (cast($data_value as double) - cast($service_cost as double))
            * assumptions.annuity_factor
            as decimal(18,2)
        ) as current_value,
        cast(
            coalesce(
                case
                    when based.bought_last_year then
                        greatest(
                            cast($upsell_target as double)
                            - cast(based.yearly_revenue as double),
                            0
                        )
                        * based.margin_rate
                        * cast($upsell_success_rate as double)
                        * assumptions.annuity_factor
                end,
                0
            ) as decimal(18,2)
        ) as upsell_value,
        cast(0 as decimal(18,2)) as referral_value

    from based

    inner join customers
        on based.customer_id = customers.customer_id

    cross join assumptions

),

final as (

    select
        customer_id,

        revenue as historical_revenue,
        margin_rate,
        margin_basis,
        service_cost,
        cast(acquisition_cost as decimal(18,2)) as acquisition_cost,
        cast(margin - service_cost - acquisition_cost as decimal(18,2))
            as historical_value,
        cast(yearly_revenue as decimal(18,2)) as yearly_revenue,
        cast(yearly_margin as decimal(18,2)) as yearly_margin,
        basis,
        current_value,
        upsell_value,
        referral_value,
        cast(upsell_value + referral_value as decimal(18,2))
            as potential_value,
        case
            when $upsell_target is null or $upsell_success_rate is null
                then 'no upsell target or success rate set; no referrals read'
            else 'no referrals read'
        end as potential_reason

    from valued

)

select * from final
