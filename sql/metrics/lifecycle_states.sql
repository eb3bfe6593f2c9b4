-- metrics.lifecycle_states: where in the life of a customer does everyone stand?
--
-- grain   customer_id
-- reads   metrics.lifecycle_moments, metrics.lifecycle_vip, facts.lifecycle_rules,
--         facts.lifecycle_periods
-- params  none
--
-- customer_id         id      everyone who ever bought
-- state               text    new, active, vip, dormant or lost at the end of the last
--                             period
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

moments as (

    select
        customer_id,
        period,
        rung,
        is_active,
        rolling_revenue

    from metrics.lifecycle_moments

),

bounds as (

    select
        period,
        vip_bound

    from metrics.lifecycle_vip

),

rules as (

    select
        rung,
        idle_periods,
        is_prolonging,
        first_step,
        last_step,
        state,
        previous_state,
        since_step

    from facts.lifecycle_rules

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

sequenced as (

    select
        *,

        lag(period) over customer as previous_period,
        lag(rung) over customer as previous_rung,
        lead(period) over customer as next_period

    from moments

    window
        customer as (
            partition by customer_id
            order by period
        )

),

-- What follows idle periods is no active state: to be active after them is a change.
-- Nothing before a customer's latest such change matters.
bounded as (

    select
        *,

        max(
            case
                when previous_period is null
                    or (is_active and previous_period < period - 1)
                    then period
            end
        ) over (
            partition by customer_id
            order by period
            rows between unbounded preceding and unbounded following
        ) as first_period

    from sequenced

),

judged as (

    select
        bounded.customer_id,
        bounded.period,
        bounded.rung,
        coalesce(bounded.previous_period, bounded.period - 1) as previous_period,
        coalesce(bounded.previous_rung, 0) as previous_rung,
        bounded.next_period is null as is_last,
        coalesce(
            bounded.is_active and bounded.rolling_revenue >= bounds.vip_bound,
            false
        ) as is_vip

    from bounds

    inner join bounded
        on bounds.period = bounded.period

    where bounded.period >= bounded.first_period

),

told as (

    select
        *,

        lag(is_vip) over (
            partition by customer_id
            order by period
        ) as previous_is_vip

    from judged

),

-- The state before a moment follows from the moment before.
entered as (

    select
        told.customer_id,
        told.period,
        told.rung,
        told.is_last,
        told.is_vip,
        case
            when told.previous_is_vip and rules.first_step = 0 then 'vip'
            else rules.state
        end as from_state

    from rules

    inner join told
        on rules.rung = told.previous_rung
        and rules.first_step <= told.period - 1 - told.previous_period
        and rules.last_step >= told.period - 1 - told.previous_period

),

stated as (

    select
        entered.customer_id,
        entered.period,
        entered.rung,
        entered.is_last,
        entered.is_vip,
        entered.from_state,
        case when entered.is_vip then 'vip' else rules.state end as state

    from rules

    inner join entered
        on rules.rung = entered.rung

    where rules.first_step = 0

),

last_moments as (

    select
        customer_id,

        max(period) as period,
        max(case when is_last then rung end) as rung,
        count(case when is_last and is_vip then 1 end) > 0 as is_vip,
        max(case when is_last then from_state end) as from_state,
        max(case when from_state <> state then period end) as entry_period

    from stated

    group by customer_id

),

-- From the last moment follows the present, and what was a period ago.
elapsed as (

    select
        last_moments.*,
        greatest(
            coalesce(calendar.last_complete_period - last_moments.period, 0), 0
        ) as step,
        calendar.last_period - 1 - last_moments.period as step_before,
        calendar.last_complete_period

    from last_moments

    cross join calendar

),

current_states as (

    select
        elapsed.customer_id,
        case
            when elapsed.is_vip and rules.first_step = 0 then 'vip'
            else rules.state
        end as state,
        case
            when elapsed.step_before < 0 then elapsed.from_state
            when elapsed.step_before >= rules.first_step then rules.state
            when elapsed.is_vip and elapsed.step_before = 0 then 'vip'
            else rules.previous_state
        end as state_before,
        case
            when rules.since_step > 0 then elapsed.period + rules.since_step
            else elapsed.entry_period
        end as since_period,
        case
            when rules.is_prolonging then elapsed.period - 1
            else elapsed.period
        end - rules.idle_periods as last_active_period,
        elapsed.last_complete_period

    from rules

    inner join elapsed
        on rules.rung = elapsed.rung
        and rules.first_step <= elapsed.step
        and rules.last_step >= elapsed.step

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
