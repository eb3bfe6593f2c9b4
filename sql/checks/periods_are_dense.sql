-- checks.periods_are_dense: each period begins the day after the one before it.
--
-- reads   facts.periods
-- params  none

with

neighbours as (

    select
        period,
        period_start,

        lag(period) over (order by period) as previous_period,
        lag(period_end) over (order by period) as previous_end

    from facts.periods

)

select *

from neighbours

where previous_period <> period - 1
    or period_start - previous_end <> 1
