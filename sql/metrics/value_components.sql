-- metrics.value_components: what each customer was worth, is worth, could be worth.
--
-- grain   customer_id
-- reads   facts.customer_margins, facts.customers, metrics.value_assumptions
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
-- basis               text           own: the customer's last 365 days; under a year
--                                    of tenure cohort: the mean first year of those
--                                    who came through the same channel; all: of
--                                    everybody, where that channel has none; own so
--                                    far: where nobody has a full year
-- current_value       decimal(18,2)  what the years to come are worth today
-- upsell_value        decimal(18,2)  what reaching $upsell_target would add; 0 where
--                                    it, or $upsell_success_rate, is not set
-- referral_value      decimal(18,2)  0 while no referrals are read
-- potential_value     decimal(18,2)  upsell_value + referral_value
-- potential_reason    text           why a part of it is 0; null: all parts counted
--
-- current_value = yearly_margin × growing annuity factor + ($data_value -
-- $service_cost) × annuity factor, see metrics.value_assumptions.

with

margins as (

    select
        customer_id,
        coalesce(first_channel, '') as channel,
        tenure_days,
        revenue,
        margin,
        margin_rate,
        margin_basis,
        revenue_last_year,
        margin_last_year,
        revenue_first_year,
        margin_first_year

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
        channel,

        count(*) as customers,
        sum(revenue_first_year) as revenue,
        sum(margin_first_year) as margin

    from margins

    where tenure_days >= 365

    group by channel

),

channel_years as (

    select
        channel,
        revenue / customers as revenue,
        margin / customers as margin

    from first_years

),

any_years as (

    select
        sum(revenue) / nullif(sum(customers), 0) as revenue,
        sum(margin) / nullif(sum(customers), 0) as margin

    from first_years

),

based as (

    select
        margins.customer_id,
        margins.revenue,
        margins.margin,
        margins.margin_rate,
        margins.margin_basis,
        case
            when margins.tenure_days >= 365 then 'own'
            when channel_years.margin is not null then 'cohort'
            when any_years.margin is not null then 'all'
            else 'own so far'
        end as basis,
        case
            when margins.tenure_days >= 365 then margins.revenue_last_year
            else coalesce(
                channel_years.revenue, any_years.revenue, margins.revenue
            )
        end as yearly_revenue,
        case
            when margins.tenure_days >= 365 then margins.margin_last_year
            else coalesce(
                channel_years.margin, any_years.margin, margins.margin
            )
        end as yearly_margin

    from channel_years

    right join margins
        on channel_years.channel = margins.channel

    cross join any_years

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
                greatest(
                    cast($upsell_target as double)
                    - cast(based.yearly_revenue as double),
                    0
                )
                * based.margin_rate
                * cast($upsell_success_rate as double)
                * assumptions.annuity_factor,
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
