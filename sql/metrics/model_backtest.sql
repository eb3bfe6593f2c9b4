-- metrics.model_backtest: what each model expected of the hold-out, and what came.
--
-- grain   model, basis, key
-- reads   facts.customer_days, facts.purchase_histories, models.expected
-- params  as_of, holdout_days
--
-- model                text     every model that was fitted and came to rest
-- is_used              boolean  whether predictions are made of it
-- basis                text     week or frequency
-- key                  bigint   week of the hold-out, from 1; or frequency in the
--                               calibration, 7 for 7 and more
-- customers            bigint   who are counted: all of the calibration, or those of
--                               this frequency
-- actual               bigint   purchase days in the hold-out
-- expected             double   the same, as the model expects them
-- error                double   expected / actual - 1; null without any
-- cumulative_actual    bigint   up to and with this key
-- cumulative_expected  double   up to and with this key
-- cumulative_error     double   cumulative_expected / cumulative_actual - 1
--
-- Of customers who first bought in the calibration. No rows where $holdout_days is
-- 0, nor where predictions are made of no model. The last week may be shorter than seven days.

with

expectations as (

    select
        model,
        is_used,
        basis,
        key,
        expected,
        cumulative_expected

    from models.expected

),

histories as (

    select
        customer_id,
        least(calibration_frequency, 7) as frequency,
        holdout_frequency

    from facts.purchase_histories

    where calibration_frequency is not null

),

purchase_days as (

    select
        customer_id,
        ($holdout_days - ($as_of - order_date) + 6) / 7 as week

    from facts.customer_days

    where is_purchase_day and $as_of - order_date < $holdout_days

),

in_weeks as (

    select
        purchase_days.week,

        count(*) as actual

    from purchase_days

    inner join histories
        on purchase_days.customer_id = histories.customer_id

    group by purchase_days.week

),

by_frequency as (

    select
        frequency,

        count(*) as customers,
        sum(holdout_frequency) as actual

    from histories

    group by frequency

),

population as (

    select sum(customers) as customers

    from by_frequency

),

compared as (

    select
        expectations.model,
        expectations.is_used,
        expectations.basis,
        expectations.key,
        case
            when expectations.basis = 'week' then population.customers
            else by_frequency.customers
        end as customers,
        coalesce(
            case
                when expectations.basis = 'week' then in_weeks.actual
                else by_frequency.actual
            end,
            0
        ) as actual,
        expectations.expected,
        expectations.cumulative_expected

    from expectations

    cross join population

    left join in_weeks
        on expectations.key = in_weeks.week

    left join by_frequency
        on expectations.key = by_frequency.frequency

),

running as (

    select
        *,

        sum(actual) over (
            partition by model, basis
            order by key
            rows between unbounded preceding and current row
        ) as cumulative_actual

    from compared

),

final as (

    select
        model,
        is_used,
        basis,
        key,

        customers,
        actual,
        expected,
        case when actual > 0 then expected / actual - 1 end as error,
        cumulative_actual,
        cumulative_expected,
        case
            when cumulative_actual > 0
                then cumulative_expected / cumulative_actual - 1
        end as cumulative_error

    from running

)

select * from final
