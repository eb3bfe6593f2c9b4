-- metrics.lifecycle_states: where in the life of a customer does everyone stand?
--
-- grain   customer_id
-- reads   metrics.lifecycle_runs, facts.lifecycle_periods
-- params  none
--
-- customer_id         id      everyone who ever bought
-- state               text    new, active, vip, dormant or lost at the end of the
--                             last period
-- state_before        text    at the end of the one before; none: not a customer yet
-- since_date          date    first day of the period since which the state holds
--                             without a break
-- last_active_period  bigint  the latest period with a purchase
-- last_active_start   date    its first day
-- idle_periods        bigint  complete periods since then
--
-- The last period is the one $as_of lies in. Where $as_of cuts it short it can
-- promote, but it is no idle one.

with

runs as (

    select
        customer_id,
        start_period,
        end_period,
        state,
        previous_state,
        last_active_period

    from metrics.lifecycle_runs

),

periods as (

    select
        period,
        period_start,
        is_complete

    from facts.lifecycle_periods

),

calendar as (

    select
        max(period) as last_period,
        max(case when is_complete then period end) as last_complete_period

    from periods

),

-- Runs follow each other without a gap: one of each customer ends with the last
-- period, and the latest change of state is when the present one began.
current_states as (

    select
        runs.customer_id,

        max(
            case
                when runs.end_period = calendar.last_period then runs.state
            end
        ) as state,
        max(
            case
                when runs.end_period < calendar.last_period then null
                when runs.start_period = calendar.last_period
                    then runs.previous_state
                else runs.state
            end
        ) as state_before,
        max(
            case
                when runs.state <> runs.previous_state then runs.start_period
            end
        ) as since_period,
        max(runs.last_active_period) as last_active_period,
        max(calendar.last_complete_period) as last_complete_period

    from runs

    cross join calendar

    group by runs.customer_id

),

-- A hash join holds its left side: the calendar, not the customers.
dated_states as (

    select
        current_states.*,
        periods.period_start as since_date

    from periods

    inner join current_states
        on periods.period = current_states.since_period

),

final as (

    select
        dated_states.customer_id,

        dated_states.state,
        dated_states.state_before,
        dated_states.since_date,
        dated_states.last_active_period,
        periods.period_start as last_active_start,
        case
            when dated_states.last_complete_period
                > dated_states.last_active_period
                then dated_states.last_complete_period
                - dated_states.last_active_period
            else 0
        end as idle_periods

    from periods

    inner join dated_states
        on periods.period = dated_states.last_active_period

)

select * from final
