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

final as (

    select
        current_states.customer_id,

        current_states.state,
        current_states.state_before,
        since_periods.period_start as since_date,
        current_states.last_active_period,
        active_periods.period_start as last_active_start,
        case
            when current_states.last_complete_period
                > current_states.last_active_period
                then current_states.last_complete_period
                - current_states.last_active_period
            else 0
        end as idle_periods

    from current_states

    inner join periods as since_periods
        on current_states.since_period = since_periods.period

    inner join periods as active_periods
        on current_states.last_active_period = active_periods.period

)

select * from final
