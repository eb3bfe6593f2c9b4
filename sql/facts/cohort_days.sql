-- facts.cohort_days: in which period of $cohort_grain is a day?
--
-- grain   day_date
-- reads   facts.periods
-- params  none
--
-- day_date  date    each day from the start of the first period to the end of the last
--                   one
-- period    bigint  as in facts.periods

with

days as (

    select
        period,
        unnest(range(cast(period_start as int), cast(period_end as int) + 1))
            as day_number

    from facts.periods

),

final as (

    select
        cast(cast(day_number as int) as date) as day_date,
        period

    from days

)

select * from final
