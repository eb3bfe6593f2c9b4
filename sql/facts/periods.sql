-- facts.periods: the calendar of $cohort_grain,
-- from the first sale to $as_of.
--
-- grain   period
-- reads   facts.customers, facts.history_bounds
-- params  as_of, cohort_grain
--
-- period             bigint   running number: days since 1970-01-01, ISO weeks
--                             since 1969-12-29, year * 12 + month - 1,
--                             year * 4 + quarter - 1, or the year
-- period_start       date     first day
-- period_end         date     last day, inclusive
-- is_complete        boolean  $as_of does not cut it short
-- is_left_truncated  boolean  the first period, if the acquired_date of some who are
--                             new in it is not known: they may be older than the
--                             data. Not where the history starts within the files
--                             ($history_start): they tell who bought before
--
-- Dense: a period without an order is a row. Without any sale there is none.

with

customers as (

    select
        first_order_date,
        acquired_date is null and not is_known_before as is_of_unknown_age

    from facts.customers

),

history_bounds as (

    select starts_within_files

    from facts.history_bounds

),

sales as (

    select
        min(first_order_date) as first_sale_date,
        min(case when is_of_unknown_age then first_order_date end)
            as first_unknown_date

    from customers

),

history as (

    select
        sales.first_sale_date,
        case
            when not history_bounds.starts_within_files
                then sales.first_unknown_date
        end as first_unknown_date

    from sales

    cross join history_bounds

),

bounds as (

    select
        first_unknown_date,
        unnest(make_array(first_sale_date, $as_of)) as bound_date

    from history

    where first_sale_date is not null

),

numbered as (

    select
        first_unknown_date,
        case $cohort_grain
            when 'day' then cast(bound_date as bigint)
            -- Moved into positive numbers, where division rounds down.
            when 'week' then
                (cast(bound_date as bigint) + 700003) / 7 - 100000
            when 'month' then
                cast(date_part('year', bound_date) as bigint) * 12
                + cast(date_part('month', bound_date) as bigint) - 1
            when 'quarter' then
                cast(date_part('year', bound_date) as bigint) * 4
                + cast(date_part('quarter', bound_date) as bigint) - 1
            else cast(date_part('year', bound_date) as bigint)
        end as period

    from bounds

),

-- One period more than needed: its start tells where the last one ends.
spanned as (

    select
        min(first_unknown_date) as first_unknown_date,
        unnest(range(min(period), max(period) + 2)) as period

    from numbered

    having count(*) > 0

),

started as (

    select
        first_unknown_date,
        period,
        case $cohort_grain
            when 'day' then cast(cast(period as int) as date)
            when 'week' then cast(cast(period * 7 - 3 as int) as date)
            when 'month' then
                make_date(
                    cast(period / 12 as int), cast(period % 12 + 1 as int), 1
                )
            when 'quarter' then
                make_date(
                    cast(period / 4 as int), cast(period % 4 * 3 + 1 as int), 1
                )
            else make_date(cast(period as int), 1, 1)
        end as period_start

    from spanned

),

ended as (

    select
        first_unknown_date,
        period,
        period_start,
        lead(period_start) over (order by period) - interval '1' day
            as period_end,
        row_number() over (order by period) as position

    from started

),

final as (

    select
        period,

        period_start,
        period_end,
        period_end <= $as_of as is_complete,
        position = 1
        and coalesce(first_unknown_date <= period_end, false)
            as is_left_truncated

    from ended

    where period_end is not null

)

select * from final
