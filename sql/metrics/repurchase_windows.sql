-- metrics.repurchase_windows: of the customers won in a period, how many bought again
-- within 30, 60, 90 … days?
--
-- grain   cohort_start, window_days
-- reads   facts.customers, facts.periods
-- params  as_of, repurchase_windows
--
-- cohort_start          date     first day of the period of a customer's first order
-- window_days           bigint   from $repurchase_windows
-- cohort_customers      bigint   customers won in the cohort's period
-- eligible_customers    bigint   those observed for the whole window: first day +
--                                window_days <= $as_of
-- repurchase_customers  bigint   eligible ones with another purchase day within it
-- repurchase_rate       double   repurchase / eligible; null if none is eligible
-- is_complete           boolean  the whole cohort is eligible
-- is_left_truncated     boolean  as in metrics.cohort_retention
--
-- Day 0 is the day of the first order; other orders on it are no repurchase. While
-- a cohort is not complete, the rate is that of its earlier customers. A window
-- below one day is left out, and so is who is known from before.

with

customers as (

    select
        first_order_date,
        second_purchase_date

    from facts.customers

    where not is_known_before

),

periods as (

    select
        period_start,
        period_end,
        is_left_truncated

    from facts.periods

),

windows as (

    select distinct window_days

    from (select unnest($repurchase_windows) as window_days) as listed

    where window_days >= 1

),

-- By first day, which decides who is eligible: few rows from here on.
spans as (

    select
        first_order_date,
        second_purchase_date - first_order_date as second_day,

        count(*) as customers

    from customers

    group by first_order_date, second_purchase_date - first_order_date

),

first_days as (

    select
        spans.first_order_date,
        windows.window_days,
        $as_of - spans.first_order_date >= windows.window_days as is_observed,

        sum(spans.customers) as customers,
        sum(
            case
                when spans.second_day <= windows.window_days
                    then spans.customers
                else 0
            end
        ) as repurchase_customers

    from windows

    cross join spans

    group by spans.first_order_date, windows.window_days

),

cohorts as (

    select
        periods.period_start as cohort_start,
        first_days.window_days,
        periods.is_left_truncated,

        sum(first_days.customers) as cohort_customers,
        sum(case when first_days.is_observed then first_days.customers end)
            as eligible_customers,
        sum(
            case
                when first_days.is_observed
                    then first_days.repurchase_customers
            end
        ) as repurchase_customers

    from first_days

    inner join periods
        on first_days.first_order_date >= periods.period_start
        and first_days.first_order_date <= periods.period_end

    group by
        periods.period_start,
        first_days.window_days,
        periods.is_left_truncated

),

final as (

    select
        cohort_start,
        window_days,

        cast(cohort_customers as bigint) as cohort_customers,
        cast(coalesce(eligible_customers, 0) as bigint) as eligible_customers,
        cast(coalesce(repurchase_customers, 0) as bigint)
            as repurchase_customers,
        cast(repurchase_customers as double) / eligible_customers
            as repurchase_rate,
        coalesce(eligible_customers, 0) = cohort_customers as is_complete,
        is_left_truncated

    from cohorts

)

select * from final
