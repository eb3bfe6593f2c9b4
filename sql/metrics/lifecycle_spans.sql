-- metrics.lifecycle_spans: from when to when do how many customers stay in a state?
--
-- grain   period, rung, is_vip, next_period, start_period
-- reads   metrics.lifecycle_paths, facts.lifecycle_periods, facts.lifecycle_rules
-- params  none
--
-- period        bigint   of the moment from which they come
-- rung          bigint   its kind, as in facts.lifecycle_rules
-- is_vip        boolean  the VIP rule held then
-- next_period   bigint   of the moment after it; of the last one, the period after the
--                        calendar
-- start_period  bigint   first period at whose end the state holds
-- end_period    bigint   last one
-- state         text     new, active, vip, dormant or lost
-- from_state    text     at the end of the period before start_period; null for the
--                        moment itself: what came before differs
-- customers     bigint   who went this way
--
-- The spans of a way follow each other without a gap, from its moment to the period
-- before the next. A period that $as_of cuts short is no idle one, so it prolongs
-- the state before it.

with

paths as (

    select
        period,
        rung,
        is_vip,
        previous_period,
        previous_rung,
        previous_is_vip,
        customers,
        last_customers

    from metrics.lifecycle_paths

),

calendar as (

    select
        max(period) as last_period,
        max(case when is_complete then period end) as last_complete_period

    from facts.lifecycle_periods

),

rules as (

    select
        rung,
        first_step,
        last_step,
        state,
        previous_state

    from facts.lifecycle_rules

),

closed_ways as (

    select
        previous_period as period,
        previous_rung as rung,
        previous_is_vip as is_vip,
        period as next_period,

        sum(customers) as customers

    from paths

    where previous_rung > 0

    group by previous_period, previous_rung, previous_is_vip, period

),

open_ways as (

    select
        period,
        rung,
        is_vip,

        sum(last_customers) as customers

    from paths

    where last_customers > 0

    group by period, rung, is_vip

),

ways as (

    select
        period,
        rung,
        is_vip,
        next_period,
        next_period - 1 - period as last_step,
        customers

    from closed_ways

    union all

    select
        open_ways.period,
        open_ways.rung,
        open_ways.is_vip,
        calendar.last_period + 1 as next_period,
        case
            when calendar.last_complete_period > open_ways.period
                then calendar.last_complete_period - open_ways.period
            else 0
        end as last_step,
        open_ways.customers

    from open_ways

    cross join calendar

),

final as (

    select
        ways.period,
        ways.rung,
        ways.is_vip,
        ways.next_period,
        ways.period + rules.first_step as start_period,

        case
            when rules.last_step < ways.last_step
                then ways.period + rules.last_step
            else ways.next_period - 1
        end as end_period,
        case
            when ways.is_vip and rules.first_step = 0 then 'vip'
            else rules.state
        end as state,
        case
            when ways.is_vip and rules.first_step = 1 then 'vip'
            else rules.previous_state
        end as from_state,
        ways.customers

    from ways

    inner join rules
        on ways.rung = rules.rung
        and ways.last_step >= rules.first_step

)

select * from final
