-- facts.lifecycle_periods: the calendar of $lifecycle_grain,
-- from the first sale to $as_of.
--
-- grain   period
-- reads   facts.customers
-- params  as_of, lifecycle_grain
--
-- period             bigint   running number: days since 1970-01-01, ISO weeks
--                             since 1969-12-29, year * 12 + month - 1,
--                             year * 4 + quarter - 1, or the year
-- period_start       date     first day
-- period_end         date     last day, inclusive
-- is_complete        boolean  $as_of does not cut it short
--
-- Dense: a period without an order is a row. Without any sale there is none.

with

customers as (

    select
        first_order_date

    from facts.customers

),

history as (

    select
        min(first_order_date) as first_sale_date

    from customers

),

bounds as (

    select
        unnest(make_array(first_sale_date, $as_of)) as bound_date

    from history

    where first_sale_date is not null

),

numbered as (

    select
        case $lifecycle_grain
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
        unnest(range(min(period), max(period) + 2)) as period

    from numbered

    having count(*) > 0

),

started as (

    select
        period,
        case $lifecycle_grain
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
        period,
        period_start,
        lead(period_start) over (order by period) - interval '1' day
            as period_end

    from started

),

final as (

    select
        period,

        period_start,
        period_end,
        period_end <= $as_of as is_complete

    from ended

    where period_end is not null

)

select * from final
