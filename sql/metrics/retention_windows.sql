-- metrics.retention_windows: how many customers are back N days after the first
-- order, told the four ways that are all called N-day retention?
--
-- grain   window_days, method
-- reads   facts.customers, facts.customer_days, facts.retention_trials
-- params  as_of
--
-- window_days         bigint  N, from $retention_windows
-- method              text    exact: a purchase on day N; within: on some day of
--                             1..N; after: on day N or later, unbounded; bracket:
--                             from N up to the next window's N - 1
-- eligible_customers  bigint  customers whose window lies within the data: first day
--                             + N <= $as_of (bracket: first day + next N - 1)
-- retained_customers  bigint  those of them with such a purchase
-- retention_rate      double  retained / eligible; null if none is eligible
--
-- Day 0 is the day of the first order; other orders on it are no return. `after`
-- grows with the time a customer was observed, so compare it with nothing but
-- itself. The last window has no bracket. A window below one day is left out.

with

customers as (

    select first_order_date

    from facts.customers

),

customer_days as (

    select
        order_date,
        previous_purchase_date,
        first_order_date

    from facts.customer_days

    where is_purchase_day
        and purchase_day_number > 1

),

trials as (

    select
        window_days,
        method,
        first_day,
        last_day,
        needed_days

    from facts.retention_trials

),

observed as (

    select
        $as_of - first_order_date as observed_days,

        count(*) as customers

    from customers

    group by $as_of - first_order_date

),

eligible as (

    select
        trials.window_days,
        trials.method,

        coalesce(sum(observed.customers), 0) as eligible_customers

    from trials

    left join observed
        on trials.needed_days <= observed.observed_days

    group by trials.window_days, trials.method

),

first_days as (

    select distinct first_day

    from trials

),

last_first_day as (

    select max(first_day) as first_day

    from trials

),

-- What comes after the last of them can be nobody's earliest return.
candidates as (

    select
        customer_days.order_date,
        customer_days.previous_purchase_date,
        customer_days.first_order_date

    from customer_days

    inner join last_first_day
        on customer_days.previous_purchase_date
            - customer_days.first_order_date < last_first_day.first_day

),

-- Of a customer's returns only the earliest on or after a first_day decides, so
-- that nobody counts twice.
returns as (

    select
        first_days.first_day,
        $as_of - candidates.first_order_date as observed_days,
        candidates.order_date - candidates.first_order_date
            as return_day,

        count(*) as customers

    from candidates

    inner join first_days
        on candidates.previous_purchase_date
            - candidates.first_order_date < first_days.first_day
        and candidates.order_date
            - candidates.first_order_date >= first_days.first_day

    group by
        first_days.first_day,
        $as_of - candidates.first_order_date,
        candidates.order_date - candidates.first_order_date

),

retained as (

    select
        trials.window_days,
        trials.method,

        sum(returns.customers) as retained_customers

    from trials

    inner join returns
        on trials.first_day = returns.first_day
        and trials.needed_days <= returns.observed_days
        and coalesce(trials.last_day >= returns.return_day, true)

    group by trials.window_days, trials.method

),

final as (

    select
        eligible.window_days,
        eligible.method,

        cast(eligible.eligible_customers as bigint) as eligible_customers,
        cast(coalesce(retained.retained_customers, 0) as bigint)
            as retained_customers,
        cast(coalesce(retained.retained_customers, 0) as double)
            / nullif(eligible.eligible_customers, 0) as retention_rate

    from eligible

    left join retained
        on eligible.window_days = retained.window_days
        and eligible.method = retained.method

)

select * from final
