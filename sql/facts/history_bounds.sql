-- facts.history_bounds: where do the files begin, and does the history begin there?
--
-- grain   scope
-- reads   staging.orders, staging.earlier_customers
-- params  none
--
-- scope                text     all
-- first_file_date      date     day of the earliest order in the files, be it counted
--                               or before $history_start; null without any
-- starts_within_files  boolean  there are orders before $history_start, so that it is
--                               known who bought earlier

with

counted as (

    select min(order_date) as first_date

    from staging.orders

),

earlier as (

    select min(first_order_date) as first_date

    from staging.earlier_customers

),

final as (

    select
        'all' as scope,

        coalesce(
            least(earlier.first_date, counted.first_date),
            earlier.first_date,
            counted.first_date
        ) as first_file_date,
        earlier.first_date is not null as starts_within_files

    from counted

    cross join earlier

)

select * from final
