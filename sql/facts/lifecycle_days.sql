-- facts.lifecycle_days: which period of $lifecycle_grain does a day lie in?
--
-- grain   day_date
-- reads   facts.lifecycle_periods
-- params  none
--
-- day_date      date    each day from the start of the first period to the end of the
--                       last one
-- period        bigint  as in facts.lifecycle_periods
-- period_start  date    its first day
--
-- Looked up here, a period takes a fraction of the time its arithmetic does.

with

days as (

    select
        period,
        period_start,
        unnest(range(cast(period_start as int), cast(period_end as int) + 1))
            as day_number

    from facts.lifecycle_periods

),

final as (

    select
        cast(cast(day_number as int) as date) as day_date,
        period,
        period_start

    from days

)

select * from final
