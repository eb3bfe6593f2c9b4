-- metrics.rfm_scores: how recently, how often and for how much did each customer
-- buy, and what to do about it?
--
-- grain   scope, scope_value, customer_id
-- reads   metrics.rfm_snapshot_scores, metrics.rfm_classes
-- params  none
--
-- scope         text           all; and $rfm_scope, where that is another
-- scope_value   text           all; else the channel or store
-- customer_id   id             everyone who ever bought there
-- recency_days  bigint         $as_of - last purchase day, over all history
-- frequency     bigint         purchase days in the last $rfm_window_days (null:
--                              all history); orders where $rfm_frequency says so
-- monetary      decimal(18,2)  net revenue in the window; frequency and monetary
--                              are 0 without a purchase in it
-- r_score       bigint         1 to 5 by $rfm_method, 5 for the most recent
-- f_score       bigint         1 to 5, 5 for the most frequent
-- m_score       bigint         1 to 5, 5 for the most revenue
-- r_high        boolean        above the mean (or $rfm_high) of all customers of
--                              the scope value; equal is low
-- f_high        boolean        the same for f_score
-- m_high        boolean        the same for m_score
-- segment       text           key of the class, see rules.rfm_segments
-- action        text           what to do, in English; Chinese stands there too
--
-- Scores, means and classes are those of the customer's scope value alone. A
-- customer has one row for scope all and one for each channel or store used.

with

scores as (

    select
        scope,
        scope_value,
        customer_id,
        recency_days,
        frequency,
        monetary,
        r_score,
        f_score,
        m_score

    from metrics.rfm_snapshot_scores

    where snapshot = 'now'

),

classes as (

    select
        scope,
        scope_value,
        r_score,
        f_score,
        m_score,
        r_high,
        f_high,
        m_high,
        segment,
        action

    from metrics.rfm_classes

    where snapshot = 'now'

),

final as (

    select
        scores.scope,
        scores.scope_value,
        scores.customer_id,

        scores.recency_days,
        scores.frequency,
        scores.monetary,
        scores.r_score,
        scores.f_score,
        scores.m_score,
        classes.r_high,
        classes.f_high,
        classes.m_high,
        classes.segment,
        classes.action

    from scores

    left join classes
        on scores.scope = classes.scope
        and scores.scope_value = classes.scope_value
        and scores.r_score = classes.r_score
        and scores.f_score = classes.f_score
        and scores.m_score = classes.m_score

)

select * from final
