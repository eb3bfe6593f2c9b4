-- facts.retention_days: up to where in the trials of retention has a day come?
--
-- grain   day
-- reads   facts.customers, facts.retention_trials
-- params  as_of
--
-- day            bigint   days since a customer's first one, which is 0; up to the
--                         longest time anybody was observed
-- bound          bigint   the latest day up to this one at which a trial begins, has
--                         just ended, or has been observed for long enough; 0 before
--                         all of them
-- is_last_bound  boolean  no trial begins after this day
--
-- Between two bounds a day is like the other to every trial, so that customers are
-- counted by bounds, of which there are few, and not by days.

with

customers as (

    select first_order_date

    from facts.customers

),

trials as (

    select
        first_day,
        last_day,
        needed_days

    from facts.retention_trials

),

days as (

    select
        unnest(range(0, max($as_of - first_order_date) + 1)) as day

    from customers

),

bounds as (

    select 0 as bound

    union

    select first_day as bound

    from trials

    union

    select last_day + 1 as bound

    from trials

    where last_day is not null

    union

    select needed_days as bound

    from trials

),

last_bound as (

    select max(first_day) as first_day

    from trials

),

reached as (

    select
        days.day,

        max(bounds.bound) as bound

    from days

    inner join bounds
        on days.day >= bounds.bound

    group by days.day

),

final as (

    select
        reached.day,

        reached.bound,
        coalesce(reached.day >= last_bound.first_day, true) as is_last_bound

    from reached

    cross join last_bound

)

select * from final
