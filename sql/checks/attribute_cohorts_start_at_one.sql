-- checks.attribute_cohorts_start_at_one: by attribute too, everyone is active in the
-- cohort's own period, and no cell has more customers than its cohort.
--
-- reads   metrics.cohort_retention_by_attribute
-- params  none

select
    attribute,
    attribute_value,
    cohort_start,
    period_index,
    cohort_customers,
    active_customers

from metrics.cohort_retention_by_attribute

where active_customers > cohort_customers
    or (period_index = 0 and active_customers <> cohort_customers)
