-- facts.retention_trials: what each window and method of retention asks for.
--
-- grain   window_days, method
-- reads   none
-- params  retention_windows
--
-- window_days  bigint  N, from $retention_windows
-- method       text    exact, within, after or bracket
-- first_day    bigint  a return on this day or later counts
-- last_day     bigint  until this day; null = however late
-- needed_days  bigint  of customers observed for so many days since the first one
--
-- Days are counted from the first day, which is 0. exact: on day N; within: on some
-- day of 1..N; after: on day N or later; bracket: from N up to the day before the
-- next window, so that the last one has none. A window below one day is left out.

with

lengths as (

    select distinct window_days

    from (select unnest($retention_windows) as window_days) as listed

    where window_days >= 1

),

windows as (

    select
        window_days,

        lead(window_days) over (order by window_days) as next_window_days

    from lengths

),

methods as (

    select *

    from (values ('exact'), ('within'), ('after'), ('bracket'))
        as names (method)

),

final as (

    select
        windows.window_days,
        methods.method,

        case methods.method
            when 'within' then 1
            else windows.window_days
        end as first_day,
        case methods.method
            when 'after' then null
            when 'bracket' then windows.next_window_days - 1
            else windows.window_days
        end as last_day,
        case methods.method
            when 'bracket' then windows.next_window_days - 1
            else windows.window_days
        end as needed_days

    from windows

    cross join methods

    where methods.method <> 'bracket'
        or windows.next_window_days is not null

)

select * from final
