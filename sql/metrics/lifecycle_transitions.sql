-- metrics.lifecycle_transitions: who went from which state to which, period by period?
--
-- grain   period, from_state, to_state
-- reads   metrics.lifecycle_paths, metrics.lifecycle_spans, facts.lifecycle_periods
-- params  none
--
-- period        bigint   as in facts.lifecycle_periods
-- from_state    text     state at the end of the period before; none: not a customer
--                        yet
-- to_state      text     state at the end of the period: new, active, vip, dormant or
--                        lost
-- period_start  date     first day of the period
-- is_complete   boolean  $as_of does not cut the period short; where it does, there are
--                        only purchases, no steps towards dormant or lost
-- customers     bigint   who took this step, or stayed; steps nobody took are left out
--
-- Flows reconcile: who is in a state at a period's end is from that state in the
-- next period.

with

-- Into the state of a moment.
arrivals as (

    select
        period,
        from_state,
        state as to_state,
        customers

    from metrics.lifecycle_paths

),

spans as (

    select
        start_period,
        end_period,
        state,
        from_state,
        customers

    from metrics.lifecycle_spans

),

periods as (

    select
        period,
        period_start,
        is_complete

    from facts.lifecycle_periods

),

-- Into the states that follow from a moment.
departures as (

    select
        start_period as period,
        from_state,
        state as to_state,
        customers

    from spans

    where from_state is not null

),

-- From the second period of a span on its customers stay, until after its last.
changes as (

    select
        start_period + 1 as period,
        state,
        customers

    from spans

    where end_period > start_period

    union all

    select
        end_period + 1 as period,
        state,
        -customers as customers

    from spans

    where end_period > start_period

),

net_changes as (

    select
        period,
        state,

        sum(customers) as customers

    from changes

    group by period, state

),

lasting_states as (

    select state

    from net_changes

    group by state

),

stays as (

    select
        periods.period,
        lasting_states.state,

        sum(coalesce(net_changes.customers, 0)) over (
            partition by lasting_states.state
            order by periods.period
            rows between unbounded preceding and current row
        ) as customers

    from periods

    cross join lasting_states

    left join net_changes
        on periods.period = net_changes.period
        and lasting_states.state = net_changes.state

),

steps as (

    select
        period,
        from_state,
        to_state,
        customers

    from arrivals

    union all

    select
        period,
        from_state,
        to_state,
        customers

    from departures

    union all

    select
        period,
        state as from_state,
        state as to_state,
        customers

    from stays

    where customers > 0

),

summed as (

    select
        period,
        from_state,
        to_state,

        sum(customers) as customers

    from steps

    group by period, from_state, to_state

),

final as (

    select
        summed.period,
        summed.from_state,
        summed.to_state,

        periods.period_start,
        periods.is_complete,
        summed.customers

    from summed

    inner join periods
        on summed.period = periods.period

)

select * from final
