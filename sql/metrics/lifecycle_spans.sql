-- metrics.lifecycle_spans: from when to when does each state hold, before the VIP rule?
--
-- grain   customer_id, start_period
-- reads   facts.lifecycle_activity, facts.lifecycle_periods, rules.lifecycle
-- params  none
--
-- customer_id         id      who
-- start_period        bigint  first period at whose end the state holds
-- end_period          bigint  last one so far
-- state               text    new, active, dormant or lost, by rules.lifecycle
-- last_active_period  bigint  the latest period with a purchase
--
-- A purchase opens one span for each state that the idle periods up to the next
-- purchase lead through: at most three, however long the gap. A period that
-- $as_of cuts short is no idle one, so it prolongs the state before it.

with

activity as (

    select
        customer_id,
        period,
        purchase_days_to_date,
        next_active_period

    from facts.lifecycle_activity

    where is_active

),

calendar as (

    select
        max(period) as last_period,
        max(case when is_complete then period end) as last_complete_period

    from facts.lifecycle_periods

),

rules as (

    select
        purchase_class,
        state,
        coalesce(at_least, 0) as at_least,
        below

    from rules.lifecycle

),

-- Idle periods run from 0 in the period of the purchase to last_idle_periods.
gaps as (

    select
        activity.customer_id,
        activity.period,
        case
            when activity.purchase_days_to_date = 1 then 'one'
            else 'repeat'
        end as purchase_class,
        activity.next_active_period is null as is_open,
        calendar.last_period,
        case
            when activity.next_active_period is not null
                then activity.next_active_period - 1 - activity.period
            when calendar.last_complete_period > activity.period
                then calendar.last_complete_period - activity.period
            else 0
        end as last_idle_periods

    from activity

    cross join calendar

),

ruled as (

    select
        gaps.customer_id,
        gaps.period,
        gaps.is_open,
        gaps.last_period,
        gaps.last_idle_periods,
        rules.state,
        greatest(rules.at_least, 0) as first_idle_periods,
        case
            when rules.below <= gaps.last_idle_periods then rules.below - 1
            else gaps.last_idle_periods
        end as final_idle_periods

    from gaps

    inner join rules
        on gaps.purchase_class = rules.purchase_class
        and gaps.last_idle_periods >= rules.at_least

),

final as (

    select
        customer_id,
        period + first_idle_periods as start_period,

        case
            when is_open and final_idle_periods = last_idle_periods
                then last_period
            else period + final_idle_periods
        end as end_period,
        state,
        period as last_active_period

    from ruled

    where first_idle_periods <= final_idle_periods

)

select * from final
