-- checks.retention_is_dense: a cohort has a cell for every period since its own.
--
-- reads   metrics.cohort_retention, facts.periods
-- params  none

with

cohorts as (

    select
        cohort_start,

        count(*) as cells,
        max(period_index) as last_index

    from metrics.cohort_retention

    group by cohort_start

),

expected as (

    select
        periods.period_start as cohort_start,

        last_period.period - periods.period as last_index

    from facts.periods as periods

    cross join (select max(period) as period from facts.periods) as last_period

)

select
    cohorts.cohort_start,
    cohorts.cells,
    cohorts.last_index,
    expected.last_index as expected_last_index

from cohorts

left join expected
    on cohorts.cohort_start = expected.cohort_start

where expected.last_index is null
    or cohorts.last_index <> expected.last_index
    or cohorts.cells <> cohorts.last_index + 1
