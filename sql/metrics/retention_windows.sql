-- metrics.retention_windows: how many customers are back N days after the first
-- order, told the four ways that are all called N-day retention?
--
-- grain   window_days, method
-- reads   facts.customers, facts.customer_days, facts.retention_trials, facts.retention_days
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
-- itself. The last window has no bracket. A window below one day is left out. Who is
-- known from before had a first day that is not in the history, and is left out.

with

customers as (

    select first_order_date

    from facts.customers

    where not is_known_before

),

customer_days as (

    select
        previous_purchase_date - first_order_date as day_before,
        order_date - first_order_date as return_day,
        $as_of - first_order_date as observed_days

    from facts.customer_days

    where is_purchase_day
        and purchase_day_number > 1
        and not is_known_before

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

retention_days as (

    select
        day,
        bound,
        is_last_bound

    from facts.retention_days

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

-- Each day has its bound, up to the last. Of inner joins the planner would expect as
-- few rows as there are days, and then hold the customers when they meet the next.
bounded as (

    select
        customer_days.day_before,
        returned.bound as return_bound,
        observed.bound as observed_bound

    from customer_days

    left join retention_days as returned
        on customer_days.return_day = returned.day

    left join retention_days as observed
        on customer_days.observed_days = observed.day

),

-- Of a customer's returns only the earliest on or after a first_day decides, so
-- that nobody counts twice: one that passes a bound no day before it has passed.
returns as (

    select
        before.bound as bound_before,
        bounded.return_bound,
        bounded.observed_bound,

        count(*) as customers

    from retention_days as before

    inner join bounded
        on before.day = bounded.day_before

    where not before.is_last_bound

    group by before.bound, bounded.return_bound, bounded.observed_bound

),

retained as (

    select
        trials.window_days,
        trials.method,

        sum(returns.customers) as retained_customers

    from trials

    inner join returns
        on trials.first_day > returns.bound_before
        and trials.first_day <= returns.return_bound
        and coalesce(trials.last_day >= returns.return_bound, true)
        and trials.needed_days <= returns.observed_bound

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
