-- metrics.rfm_snapshot_scores: the three scores of every customer, now and before.
--
-- grain   snapshot, scope, scope_value, customer_id
-- reads   facts.rfm_measures, metrics.rfm_value_scores
-- params  rfm_method
--
-- snapshot      text           now or before, as in facts.rfm_measures
-- scope         text           as in facts.rfm_measures
-- scope_value   text           as in facts.rfm_measures
-- customer_id   id             who
-- recency_days  bigint         as in facts.rfm_measures
-- frequency     bigint         as in facts.rfm_measures
-- orders        bigint         as in facts.rfm_measures
-- monetary      decimal(18,2)  as in facts.rfm_measures
-- r_score       bigint         1 to 5, 5 for the most recent
-- f_score       bigint         1 to 5, 5 for the most frequent
-- m_score       bigint         1 to 5, 5 for the most revenue
--
-- ntile cuts five equal groups, ties by customer_id; the other methods are those
-- of metrics.rfm_value_scores.

with

measures as (

    select
        snapshot,
        scope,
        scope_value,
        customer_id,
        recency_days,
        frequency,
        orders,
        monetary

    from facts.rfm_measures

),

value_scores as (

    select
        snapshot,
        scope,
        scope_value,
        measure,
        value,
        score

    from metrics.rfm_value_scores

),

recency_scores as (

    select
        *,
        cast(value as bigint) as recency_days

    from value_scores

    where measure = 'recency'

),

frequency_scores as (

    select
        *,
        cast(value as bigint) as frequency

    from value_scores

    where measure = 'frequency'

),

monetary_scores as (

    select
        *

    from value_scores

    where measure = 'monetary'

),

scored_by_value as (

    select
        measures.*,

        recency_scores.score as r_score,
        frequency_scores.score as f_score,
        monetary_scores.score as m_score

    from measures

    left join recency_scores
        on measures.snapshot = recency_scores.snapshot
        and measures.scope = recency_scores.scope
        and measures.scope_value = recency_scores.scope_value
        and measures.recency_days = recency_scores.recency_days

    left join frequency_scores
        on measures.snapshot = frequency_scores.snapshot
        and measures.scope = frequency_scores.scope
        and measures.scope_value = frequency_scores.scope_value
        and measures.frequency = frequency_scores.frequency

    left join monetary_scores
        on measures.snapshot = monetary_scores.snapshot
        and measures.scope = monetary_scores.scope
        and measures.scope_value = monetary_scores.scope_value
        and measures.monetary = monetary_scores.value

    where $rfm_method <> 'ntile'

),

scored_by_rank as (

    select
        *,

        ntile(5) over (
            partition by snapshot, scope, scope_value
            order by recency_days desc, customer_id
        ) as r_score,
        ntile(5) over (
            partition by snapshot, scope, scope_value
            order by frequency, customer_id
        ) as f_score,
        ntile(5) over (
            partition by snapshot, scope, scope_value
            order by monetary, customer_id
        ) as m_score

    from measures

    where $rfm_method = 'ntile'

),

scored as (

    select * from scored_by_value

    union all

    select * from scored_by_rank

),

final as (

    select
        snapshot,
        scope,
        scope_value,
        customer_id,

        recency_days,
        frequency,
        orders,
        monetary,
        cast(r_score as bigint) as r_score,
        cast(f_score as bigint) as f_score,
        cast(m_score as bigint) as m_score

    from scored

)

select * from final
