-- checks.repurchase_windows_add_up: over every window the cohorts hold every customer,
-- and as many repurchases as retention within that window.
--
-- reads   metrics.repurchase_windows, metrics.retention_windows, facts.customers
-- params  none

with

windows as (

    select
        window_days,

        sum(cohort_customers) as customers,
        sum(eligible_customers) as eligible_customers,
        sum(repurchase_customers) as repurchase_customers

    from metrics.repurchase_windows

    group by window_days

),

customers as (

    select count(*) as customers

    from facts.customers

    where not is_known_before

),

retention as (

    select
        window_days,
        eligible_customers,
        retained_customers

    from metrics.retention_windows

    where method = 'within'

)

select
    windows.window_days,
    windows.customers as cohort_customers,
    customers.customers,
    windows.eligible_customers as eligible_in_cohorts,
    retention.eligible_customers,
    windows.repurchase_customers,
    retention.retained_customers

from windows

cross join customers

-- The two lists of windows are parameters of their own: compare what is in both.
left join retention
    on windows.window_days = retention.window_days

where windows.customers <> customers.customers
    or windows.eligible_customers <> retention.eligible_customers
    or windows.repurchase_customers <> retention.retained_customers
