-- checks.retention_within_cohort: no cell has more customers than its cohort.
--
-- reads   metrics.cohort_retention
-- params  none

select
    cohort_start,
    period_index,
    cohort_customers,
    active_customers

from metrics.cohort_retention

where active_customers > cohort_customers
    or active_customers < 0
    or orders < active_customers
