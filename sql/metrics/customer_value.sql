-- metrics.customer_value: what is each customer worth, and where to put the effort?
--
-- grain   customer_id
-- reads   metrics.value_components, metrics.value_assumptions, metrics.lifecycle_states, rules.value_tiers
-- uses    models.predictions
-- params  none
--
-- customer_id         id             everyone who ever bought
-- historical_revenue  decimal(18,2)  net, over all history: the gross figure
-- margin_rate         double         margin / revenue
-- margin_basis        text           cost, rate (the $margin_rate), or cost and rate
-- service_cost        decimal(18,2)  so far; 0 while no service costs are read
-- acquisition_cost    decimal(18,2)  0 where it is not known
-- historical_value    decimal(18,2)  margin - service_cost - acquisition_cost
-- yearly_revenue      decimal(18,2)  what a year brings
-- yearly_margin       decimal(18,2)  its margin
-- basis               text           own or blended, as in metrics.value_components
-- retention_rate      double         chance of another year, the same for everybody
-- retention_basis     text           given, measured, or why it is the default
-- current_value       decimal(18,2)  the next $clv_horizon_years, discounted
-- upsell_value        decimal(18,2)  what reaching $upsell_target would add
-- referral_value      decimal(18,2)  0 while no referrals are read
-- potential_value     decimal(18,2)  upsell_value + referral_value
-- potential_reason    text           why a part of it is 0; null: all parts counted
-- clv                 decimal(18,2)  historical + current + potential value
-- predicted_value     decimal(18,2)  revenue within $clv_horizon_days by a fitted model,
--                                    as in metrics.customer_predictions; null without
-- current_high        boolean        current_value at or above the median, above 0
-- potential_high      boolean        potential_value at or above it, above 0
-- risk_high           boolean        dormant or lost in metrics.lifecycle_states
-- clv_tier            text           high, growing, watch or low, by
--                                    rules.value_tiers
-- action              text           what to do
--
-- A value of 0 is never high, so that an unset potential does not make everybody
-- promising where the median itself is 0.

with

components as (

    select *

    from metrics.value_components

),

assumptions as (

    select
        retention_rate,
        retention_basis

    from metrics.value_assumptions

),

states as (

    select
        customer_id,
        state in ('dormant', 'lost') as risk_high

    from metrics.lifecycle_states

),

predictions as (

    select
        customer_id,
        predicted_value

    from models.predictions

),

tiers as (

    select
        current_high,
        potential_high,
        risk_high,
        clv_tier,
        action

    from rules.value_tiers

),

histogram as (

    select
        'current' as measure,
        current_value as value,

        count(*) as customers

    from components

    group by current_value

    union all

    select
        'potential' as measure,
        potential_value as value,

        count(*) as customers

    from components

    group by potential_value

),

running as (

    select
        *,

        sum(customers) over (
            partition by measure
            order by value
            rows between unbounded preceding and current row
        ) as end_position,
        sum(customers) over (
            partition by measure
            order by value
            rows between unbounded preceding and unbounded following
        ) as population

    from histogram

),

-- The middle value, or the two middle ones, as twice the median.
middles as (

    select
        measure,

        min(case when end_position > (population - 1) / 2 then value end)
        + min(case when end_position > population / 2 then value end)
            as middles

    from running

    group by measure

),

medians as (

    select
        max(case when measure = 'current' then middles end) as current_middles,
        max(case when measure = 'potential' then middles end)
            as potential_middles

    from middles

),

-- A hash join holds its left side: the narrow one.
located as (

    select
        components.*,
        states.risk_high

    from states

    right join components
        on states.customer_id = components.customer_id

),

forecast as (

    select
        located.*,
        predictions.predicted_value

    from predictions

    right join located
        on predictions.customer_id = located.customer_id

),

judged as (

    select
        forecast.*,
        assumptions.retention_rate,
        assumptions.retention_basis,
        forecast.current_value * 2 >= medians.current_middles
        and forecast.current_value > 0 as current_high,
        forecast.potential_value * 2 >= medians.potential_middles
        and forecast.potential_value > 0 as potential_high

    from forecast

    cross join medians

    cross join assumptions

),

final as (

    select
        judged.customer_id,

        judged.historical_revenue,
        judged.margin_rate,
        judged.margin_basis,
        judged.service_cost,
        judged.acquisition_cost,
        judged.historical_value,
        judged.yearly_revenue,
        judged.yearly_margin,
        judged.basis,
        judged.retention_rate,
        judged.retention_basis,
        judged.current_value,
        judged.upsell_value,
        judged.referral_value,
        judged.potential_value,
        judged.potential_reason,
        cast(
            judged.historical_value + judged.current_value
            + judged.potential_value as decimal(18,2)
        ) as clv,
        cast(judged.predicted_value as decimal(18,2)) as predicted_value,
        judged.current_high,
        judged.potential_high,
        judged.risk_high,
        tiers.clv_tier,
        tiers.action

    from judged

    left join tiers
        on judged.current_high = tiers.current_high
        and judged.potential_high = tiers.potential_high
        and judged.risk_high = tiers.risk_high

)

select * from final
