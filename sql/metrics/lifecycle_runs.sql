-- metrics.lifecycle_runs: every customer's way through the states.
--
-- grain   customer_id, start_period
-- reads   metrics.lifecycle_spans, metrics.lifecycle_vip
-- params  none
--
-- customer_id         id      who
-- start_period        bigint  first period at whose end the state holds
-- end_period          bigint  last one; the runs of a customer follow each other
--                             without a gap, up to the last period
-- state               text    new, active, vip, dormant or lost
-- previous_state      text    state at the end of the period before; none: not a
--                             customer yet
-- last_active_period  bigint  the latest period with a purchase
--
-- Active and vip run one period at a time, since the VIP rule is asked every
-- period; the other states in one piece.

with

spans as (

    select
        customer_id,
        start_period,
        end_period,
        state,
        last_active_period,
        rolling_revenue

    from metrics.lifecycle_spans

),

bounds as (

    select
        period,
        vip_bound

    from metrics.lifecycle_vip

),

runs as (

    select
        spans.customer_id,
        spans.start_period,
        spans.end_period,
        case
            when spans.state = 'active'
                and spans.rolling_revenue >= bounds.vip_bound
                then 'vip'
            else spans.state
        end as state,
        spans.last_active_period

    from spans

    left join bounds
        on spans.start_period = bounds.period

),

final as (

    select
        customer_id,
        start_period,

        end_period,
        state,
        coalesce(
            lag(state) over (
                partition by customer_id
                order by start_period
            ),
            'none'
        ) as previous_state,
        last_active_period

    from runs

)

select * from final
