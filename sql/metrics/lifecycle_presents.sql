-- metrics.lifecycle_presents: where does someone stand today who came this way?
--
-- grain   moment, previous_moment
-- reads   metrics.lifecycle_paths, metrics.lifecycle_spans, facts.lifecycle_periods,
--         facts.lifecycle_rules
-- params  none
--
-- moment              bigint  the latest moment so far, as in metrics.lifecycle_paths
-- previous_moment     bigint  the one before
-- entry_date          date    first day of the period of the latest change between the
--                             moment before and this one, which counts; null without
--                             any
-- state               text    new, active, vip, dormant or lost at the end of the last
--                             period; null if everybody came to another moment
-- state_before        text    at the end of the one before; none: not a customer yet
-- since_date          date    first day of the period of the latest change since the
--                             moment; null without any
-- last_active_period  bigint  the latest period with a purchase
-- last_active_start   date    its first day
-- idle_periods        bigint  complete periods since then
--
-- As few rows as there are ways, so that metrics.lifecycle_states looks everything up
-- at once.

with

paths as (

    select
        moment,
        previous_moment,
        period,
        rung,
        is_vip,
        state,
        previous_period,
        previous_rung,
        from_state

    from metrics.lifecycle_paths

),

spans as (

    select
        period,
        rung,
        is_vip,
        next_period,
        start_period,
        end_period,
        state,
        from_state

    from metrics.lifecycle_spans

),

rules as (

    select
        rung,
        idle_periods,
        is_prolonging,
        first_step,
        last_step,
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

-- What followed the latest moments, up to the last period.
open_ways as (

    select
        spans.period,
        spans.rung,
        spans.is_vip,

        max(
            case when spans.end_period = calendar.last_period then spans.state end
        ) as state,
        max(
            case
                when calendar.last_period - 1
                    between spans.start_period and spans.end_period
                    then spans.state
            end
        ) as state_before,
        max(
            case
                when spans.state <> spans.from_state then spans.start_period
            end
        ) as since_period

    from spans

    inner join calendar
        on spans.next_period > calendar.last_period

    group by spans.period, spans.rung, spans.is_vip

),

present_ways as (

    select
        paths.moment,
        paths.previous_moment,
        paths.from_state,
        open_ways.state,
        open_ways.state_before,
        open_ways.since_period,
        case
            when paths.state <> paths.from_state then paths.period
            when previous_rules.since_step > 0
                then paths.previous_period + previous_rules.since_step
        end as entry_period,
        case when rules.is_prolonging then paths.period - 1 else paths.period end
        - rules.idle_periods as last_active_period

    from paths

    inner join rules
        on paths.rung = rules.rung
        and rules.first_step = 0

    inner join rules as previous_rules
        on paths.previous_rung = previous_rules.rung
        and paths.period - 1 - paths.previous_period
        between previous_rules.first_step and previous_rules.last_step

    left join open_ways
        on paths.period = open_ways.period
        and paths.rung = open_ways.rung
        and paths.is_vip = open_ways.is_vip

),

final as (

    select
        present_ways.moment,
        present_ways.previous_moment,

        entries.period_start as entry_date,
        present_ways.state,
        coalesce(present_ways.state_before, present_ways.from_state)
            as state_before,
        changes.period_start as since_date,
        present_ways.last_active_period,
        purchases.period_start as last_active_start,
        case
            when calendar.last_complete_period > present_ways.last_active_period
                then calendar.last_complete_period
                - present_ways.last_active_period
            else 0
        end as idle_periods

    from present_ways

    cross join calendar

    inner join periods as purchases
        on present_ways.last_active_period = purchases.period

    left join periods as entries
        on present_ways.entry_period = entries.period

    left join periods as changes
        on present_ways.since_period = changes.period

)

select * from final
