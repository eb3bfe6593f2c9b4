-- checks.retention_starts_at_one: in the cohort's own period everyone is active.
--
-- reads   metrics.cohort_retention
-- params  none

select
    cohort_start,
    cohort_customers,
    active_customers,
    retention_rate

from metrics.cohort_retention

where period_index = 0
    and (active_customers <> cohort_customers or retention_rate <> 1)
