-- checks.lifecycle_reconciles: who ends a period in a state is in the next one's flows.
--
-- reads   metrics.lifecycle_transitions, metrics.lifecycle_summary
-- params  none

with

transitions as (

    select
        period,
        from_state,
        to_state,
        customers

    from metrics.lifecycle_transitions

),

summary as (

    select
        period,
        customers,
        new,
        active,
        vip,
        dormant,
        lost,
        buyers,
        first_buyers,
        retained,
        resurrected,
        turned_lost,
        lost_returned

    from metrics.lifecycle_summary

),

calendar as (

    select
        max(period) as last_period

    from transitions

),

arrivals as (

    select
        period,
        to_state as state,

        sum(customers) as customers

    from transitions

    group by period, to_state

),

departures as (

    select
        period - 1 as period,
        from_state as state,

        sum(customers) as customers

    from transitions

    where from_state <> 'none'

    group by period, from_state

),

unbalanced as (

    select
        coalesce(arrivals.period, departures.period) as period,
        'flows into and out of a state differ' as problem

    from arrivals

    full join departures
        on arrivals.period = departures.period
        and arrivals.state = departures.state

    cross join calendar

    where coalesce(arrivals.period, departures.period) < calendar.last_period
        and coalesce(arrivals.customers, 0)
        <> coalesce(departures.customers, 0)

),

unsummed as (

    select
        period,
        'states or buyers do not add up' as problem

    from summary

    where customers <> new + active + vip + dormant + lost
        or buyers <> first_buyers + retained + resurrected
        or resurrected < 0
        or first_buyers < 0
        or lost_returned > turned_lost

),

final as (

    select * from unbalanced

    union all

    select * from unsummed

)

select * from final
