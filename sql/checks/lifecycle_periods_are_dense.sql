-- checks.lifecycle_periods_are_dense: each begins as its predecessor ends.
--
-- reads   facts.lifecycle_periods
-- params  none

with

neighbours as (

    select
        period,
        period_start,

        lag(period) over (order by period) as previous_period,
        lag(period_end) over (order by period) as previous_end

    from facts.lifecycle_periods

)

select *

from neighbours

where previous_period <> period - 1
    or period_start - previous_end <> 1
