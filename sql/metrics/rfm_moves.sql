-- metrics.rfm_moves: who moved from which class to which in the last $compare_days?
--
-- grain   scope, scope_value, segment_before, segment_now
-- reads   metrics.rfm_snapshot_scores, metrics.rfm_classes
-- params  none
--
-- scope           text           as in metrics.rfm_scores
-- scope_value     text           as in metrics.rfm_scores
-- segment_before  text           class $compare_days before $as_of; none: had not
--                                bought yet
-- segment_now     text           class as of $as_of
-- customers       bigint         who made this move, or stayed; moves nobody made
--                                are left out
-- revenue         decimal(18,2)  their net revenue in the window, now
-- revenue_before  decimal(18,2)  the same, before; 0 for none
--
-- Before is what the same rules say of the same history cut $compare_days
-- earlier, with the scores and means of that day. Nobody who bought disappears,
-- so segment_now is never none.

with

scores as (

    select
        snapshot,
        scope,
        scope_value,
        customer_id,
        monetary,
        r_score,
        f_score,
        m_score

    from metrics.rfm_snapshot_scores

),

classes as (

    select
        snapshot,
        scope,
        scope_value,
        r_score,
        f_score,
        m_score,
        segment

    from metrics.rfm_classes

),

classed as (

    select
        scores.snapshot,
        scores.scope,
        scores.scope_value,
        scores.customer_id,
        scores.monetary,
        classes.segment

    from scores

    inner join classes
        on scores.snapshot = classes.snapshot
        and scores.scope = classes.scope
        and scores.scope_value = classes.scope_value
        and scores.r_score = classes.r_score
        and scores.f_score = classes.f_score
        and scores.m_score = classes.m_score

),

-- One row a customer, without joining the customers to themselves.
moves as (

    select
        customer_id,
        scope,
        scope_value,

        coalesce(max(case when snapshot = 'before' then segment end), 'none')
            as segment_before,
        coalesce(max(case when snapshot = 'now' then segment end), 'none')
            as segment_now,
        sum(case when snapshot = 'before' then monetary else 0 end)
            as revenue_before,
        sum(case when snapshot = 'now' then monetary else 0 end) as revenue

    from classed

    group by customer_id, scope, scope_value

),

final as (

    select
        scope,
        scope_value,
        segment_before,
        segment_now,

        count(*) as customers,
        cast(sum(revenue) as decimal(18,2)) as revenue,
        cast(sum(revenue_before) as decimal(18,2)) as revenue_before

    from moves

    group by scope, scope_value, segment_before, segment_now

)

select * from final
