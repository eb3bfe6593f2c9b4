-- metrics.rfm_classes: which of the eight classes does each triple of scores fall
-- into?
--
-- grain   snapshot, scope, scope_value, r_score, f_score, m_score
-- reads   metrics.rfm_snapshot_scores, rules.rfm_segments
-- params  rfm_high
--
-- snapshot      text           now or before, as in facts.rfm_measures
-- scope         text           as in facts.rfm_measures
-- scope_value   text           as in facts.rfm_measures
-- r_score       bigint         1 to 5
-- f_score       bigint         1 to 5
-- m_score       bigint         1 to 5
-- customers     bigint         customers with these scores; triples nobody has are
--                              left out
-- recency_days  bigint         their sum
-- frequency     bigint         their sum
-- orders        bigint         their sum
-- revenue       decimal(18,2)  their sum of monetary
-- r_high        boolean        r_score above the mean, or the median, of all
--                              customers of the scope value; equal is low
-- f_high        boolean        the same for f_score
-- m_high        boolean        the same for m_score
-- segment       text           by rules.rfm_segments
-- action        text           what to do, in English
--
-- Above the mean is decided without dividing: score × customers > sum of scores.

with

scores as (

    select
        snapshot,
        scope,
        scope_value,
        recency_days,
        frequency,
        orders,
        monetary,
        r_score,
        f_score,
        m_score

    from metrics.rfm_snapshot_scores

),

segments as (

    select
        r_high,
        f_high,
        m_high,
        segment,
        action_en

    from rules.rfm_segments

),

cells as (

    select
        snapshot,
        scope,
        scope_value,
        r_score,
        f_score,
        m_score,

        count(*) as customers,
        sum(recency_days) as recency_days,
        sum(frequency) as frequency,
        sum(orders) as orders,
        cast(sum(monetary) as decimal(18,2)) as revenue

    from scores

    group by snapshot, scope, scope_value, r_score, f_score, m_score

),

dimensions as (

    select
        unnest(make_array('r', 'f', 'm')) as dimension

),

tall as (

    select
        cells.snapshot,
        cells.scope,
        cells.scope_value,
        dimensions.dimension,
        case
            when dimensions.dimension = 'r' then cells.r_score
            when dimensions.dimension = 'f' then cells.f_score
            else cells.m_score
        end as score,
        cells.customers

    from cells

    cross join dimensions

),

spread as (

    select
        snapshot,
        scope,
        scope_value,
        dimension,
        score,

        sum(customers) as customers

    from tall

    group by snapshot, scope, scope_value, dimension, score

),

positioned as (

    select
        *,

        sum(customers) over (
            partition by snapshot, scope, scope_value, dimension
            order by score
            rows between unbounded preceding and current row
        ) as end_position,
        sum(customers) over (
            partition by snapshot, scope, scope_value, dimension
        ) as population

    from spread

),

-- A score is high when score × weight > bound.
bounds as (

    select
        snapshot,
        scope,
        scope_value,
        dimension,

        case
            when $rfm_high = 'median' then 2
            else max(population)
        end as weight,
        case
            when $rfm_high = 'median' then
                -- the middle score twice, or the two middle ones
                min(
                    case
                        when end_position > (population - 1) / 2 then score
                    end
                )
                + min(case when end_position > population / 2 then score end)
            else sum(score * customers)
        end as bound

    from positioned

    group by snapshot, scope, scope_value, dimension

),

limits as (

    select
        snapshot,
        scope,
        scope_value,

        max(weight) as weight,
        max(case when dimension = 'r' then bound end) as r_bound,
        max(case when dimension = 'f' then bound end) as f_bound,
        max(case when dimension = 'm' then bound end) as m_bound

    from bounds

    group by snapshot, scope, scope_value

),

judged as (

    select
        cells.*,
        cells.r_score * limits.weight > limits.r_bound as r_high,
        cells.f_score * limits.weight > limits.f_bound as f_high,
        cells.m_score * limits.weight > limits.m_bound as m_high

    from cells

    inner join limits
        on cells.snapshot = limits.snapshot
        and cells.scope = limits.scope
        and cells.scope_value = limits.scope_value

),

final as (

    select
        judged.snapshot,
        judged.scope,
        judged.scope_value,
        judged.r_score,
        judged.f_score,
        judged.m_score,

        judged.customers,
        judged.recency_days,
        judged.frequency,
        judged.orders,
        judged.revenue,
        judged.r_high,
        judged.f_high,
        judged.m_high,
        segments.segment,
        segments.action_en as action

    from judged

    left join segments
        on judged.r_high = segments.r_high
        and judged.f_high = segments.f_high
        and judged.m_high = segments.m_high

)

select * from final
