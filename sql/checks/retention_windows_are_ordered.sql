-- checks.retention_windows_are_ordered: nobody is retained who is not eligible, and a
-- day-N return is one within N days and one after N - 1.
--
-- reads   metrics.retention_windows
-- params  none

with

windows as (

    select
        window_days,

        max(case when method = 'exact' then retained_customers end) as exact,
        max(case when method = 'within' then retained_customers end) as within,
        max(case when method = 'after' then retained_customers end) as after,
        max(retained_customers - eligible_customers) as excess

    from metrics.retention_windows

    group by window_days

)

select *

from windows

where excess > 0
    or exact > within
    or exact > after
