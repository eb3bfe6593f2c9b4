-- metrics.rfm_snapshot_scores: the three scores of every customer, now and before.
--
-- grain   snapshot, scope, scope_value, customer_id
-- reads   facts.rfm_measures, metrics.rfm_cuts, rules.rfm_scores
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
-- rules: by rules.rfm_scores, null where no rule covers the value. quantile: 1 + how
-- many cuts lie strictly below the value. quantile_r: 1 + how many cuts + 1 do not lie
-- above it. Recency runs the other way, 5 - that count. Under these equal values earn
-- equal scores; ntile cuts five equal groups, ties by customer_id.

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

-- A cut is reached by a value above it, under quantile_r by one that is 1 above.
-- Cuts lie at multiples of 0.002 and values at multiples of 0.01, so that what is
-- at least 0.001 more than a cut is all that is above it.
cuts as (

    select
        snapshot,
        scope,
        scope_value,
        measure,
        case
            when $rfm_method = 'quantile_r' then cast(1 as decimal(4,3))
            else cast(0.001 as decimal(4,3))
        end as margin,
        cut_20,
        cut_40,
        cut_60,
        cut_80

    from metrics.rfm_cuts

    where $rfm_method in ('quantile', 'quantile_r')

),

rules as (

    select
        measure,
        score,
        at_least,
        below

    from rules.rfm_scores

),

bounds as (

    select
        snapshot,
        scope,
        scope_value,

        max(case when measure = 'recency' then cut_20 + margin end)
            as recency_20,
        max(case when measure = 'recency' then cut_40 + margin end)
            as recency_40,
        max(case when measure = 'recency' then cut_60 + margin end)
            as recency_60,
        max(case when measure = 'recency' then cut_80 + margin end)
            as recency_80,
        max(case when measure = 'frequency' then cut_20 + margin end)
            as frequency_20,
        max(case when measure = 'frequency' then cut_40 + margin end)
            as frequency_40,
        max(case when measure = 'frequency' then cut_60 + margin end)
            as frequency_60,
        max(case when measure = 'frequency' then cut_80 + margin end)
            as frequency_80,
        max(case when measure = 'monetary' then cut_20 + margin end)
            as monetary_20,
        max(case when measure = 'monetary' then cut_40 + margin end)
            as monetary_40,
        max(case when measure = 'monetary' then cut_60 + margin end)
            as monetary_60,
        max(case when measure = 'monetary' then cut_80 + margin end)
            as monetary_80

    from cuts

    group by snapshot, scope, scope_value

),

cut as (

    select
        measures.*,
        cast(measures.recency_days >= bounds.recency_20 as bigint)
        + cast(measures.recency_days >= bounds.recency_40 as bigint)
        + cast(measures.recency_days >= bounds.recency_60 as bigint)
        + cast(measures.recency_days >= bounds.recency_80 as bigint) as recency_cuts,
        cast(measures.frequency >= bounds.frequency_20 as bigint)
        + cast(measures.frequency >= bounds.frequency_40 as bigint)
        + cast(measures.frequency >= bounds.frequency_60 as bigint)
        + cast(measures.frequency >= bounds.frequency_80 as bigint) as frequency_cuts,
        cast(measures.monetary >= bounds.monetary_20 as bigint)
        + cast(measures.monetary >= bounds.monetary_40 as bigint)
        + cast(measures.monetary >= bounds.monetary_60 as bigint)
        + cast(measures.monetary >= bounds.monetary_80 as bigint) as monetary_cuts

    from measures

    inner join bounds
        on measures.snapshot = bounds.snapshot
        and measures.scope = bounds.scope
        and measures.scope_value = bounds.scope_value

),

scored_by_cut as (

    select
        snapshot,
        scope,
        scope_value,
        customer_id,
        recency_days,
        frequency,
        orders,
        monetary,

        5 - recency_cuts as r_score,
        1 + frequency_cuts as f_score,
        1 + monetary_cuts as m_score

    from cut

),

scored_by_rule as (

    select
        measures.*,

        recency_rules.score as r_score,
        frequency_rules.score as f_score,
        monetary_rules.score as m_score

    from measures

    left join rules as recency_rules
        on recency_rules.measure = 'recency'
        and (
            recency_rules.at_least is null
            or measures.recency_days >= recency_rules.at_least
        )
        and (
            recency_rules.below is null
            or measures.recency_days < recency_rules.below
        )

    left join rules as frequency_rules
        on frequency_rules.measure = 'frequency'
        and (
            frequency_rules.at_least is null
            or measures.frequency >= frequency_rules.at_least
        )
        and (
            frequency_rules.below is null
            or measures.frequency < frequency_rules.below
        )

    left join rules as monetary_rules
        on monetary_rules.measure = 'monetary'
        and (
            monetary_rules.at_least is null
            or measures.monetary >= monetary_rules.at_least
        )
        and (
            monetary_rules.below is null
            or measures.monetary < monetary_rules.below
        )

    where $rfm_method = 'rules'

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

    select * from scored_by_cut

    union all

    select * from scored_by_rule

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
