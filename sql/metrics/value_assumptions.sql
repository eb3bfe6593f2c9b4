-- metrics.value_assumptions: how likely is another year, and what is it worth today?
--
-- grain   scope
-- reads   facts.customer_margins
-- params  clv_horizon_years, discount_rate, retention_rate, retention_rate_default, revenue_growth
--
-- scope                text    all
-- history_days         bigint  from the first sale to $as_of
-- customers            bigint  everyone who ever bought
-- base_customers       bigint  bought in the 365 days that end a year before $as_of
-- retained_customers   bigint  those who bought in the 365 days up to $as_of, too
-- measured_retention   double  retained / base customers; null without any, or under
--                              two years (730 days) of history
-- retention_rate       double  the one that counts: $retention_rate if set, else
--                              measured, else $retention_rate_default
-- retention_basis      text    given, measured, or why it is the default
-- annuity_factor       double  sum over the years 1 to $clv_horizon_years of
--                              (retention / (1 + $discount_rate)) ^ year: what 1 a
--                              year is worth
-- growing_annuity_factor  double  the same for 1 that grows by $revenue_growth a year
--
-- One row, and none without a customer.

with

customers as (

    select
        tenure_days,
        bought_last_year,
        bought_year_before

    from facts.customer_margins

),

history as (

    select
        max(tenure_days) as history_days,
        count(*) as customers,
        count(case when bought_year_before then 1 end) as base_customers,
        count(case when bought_year_before and bought_last_year then 1 end)
            as retained_customers

    from customers

    having count(*) > 0

),

measured as (

    select
        *,
        case
            when history_days >= 730 then
                cast(retained_customers as double) / nullif(base_customers, 0)
        end as measured_retention

    from history

),

chosen as (

    select
        *,
        coalesce(
            cast($retention_rate as double),
            measured_retention,
            cast($retention_rate_default as double)
        ) as retention_rate,
        case
            when $retention_rate is not null then 'given'
            when measured_retention is not null then 'measured'
            when history_days < 730
                then 'default: under two years of history'
            else 'default: nobody bought in the year before'
        end as retention_basis

    from measured

),

years as (

    select
        unnest(range(1, $clv_horizon_years + 1)) as year

),

weights as (

    select
        years.year,
        power(
            chosen.retention_rate / (1 + cast($discount_rate as double)),
            cast(years.year as double)
        ) as weight,
        power(
            1 + cast($revenue_growth as double),
            cast(years.year - 1 as double)
        ) as growth

    from chosen

    cross join years

),

-- Summed as decimals: their sum does not depend on the order.
factors as (

    select
        cast(
            coalesce(sum(cast(weight as decimal(30,15))), 0) as double
        ) as annuity_factor,
        cast(
            coalesce(sum(cast(weight * growth as decimal(30,15))), 0)
            as double
        ) as growing_annuity_factor

    from weights

),

final as (

    select
        'all' as scope,

        chosen.history_days,
        chosen.customers,
        chosen.base_customers,
        chosen.retained_customers,
        chosen.measured_retention,
        chosen.retention_rate,
        chosen.retention_basis,
        factors.annuity_factor,
        factors.growing_annuity_factor

    from chosen

    cross join factors

)

select * from final
