-- metrics.rfm_medians: the median recency, frequency and revenue of each class.
--
-- grain   scope, scope_value, segment
-- reads   metrics.rfm_snapshot_scores, metrics.rfm_classes
-- params  none
--
-- scope                text           as in metrics.rfm_scores
-- scope_value          text           as in metrics.rfm_scores
-- segment              text           key of the class; classes nobody is in are
--                                     left out
-- median_recency_days  double         type 7, as the next two
-- median_frequency     double         as scored
-- median_monetary      decimal(18,2)  net in the window

with

scores as (

    select
        scope,
        scope_value,
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
        segment

    from metrics.rfm_classes

    where snapshot = 'now'

),

classed as (

    select
        classes.scope,
        classes.scope_value,
        classes.segment,
        scores.recency_days,
        scores.frequency,
        scores.monetary

    from scores

    inner join classes
        on scores.scope = classes.scope
        and scores.scope_value = classes.scope_value
        and scores.r_score = classes.r_score
        and scores.f_score = classes.f_score
        and scores.m_score = classes.m_score

),

histogram as (

    select
        scope,
        scope_value,
        segment,
        'recency' as measure,
        cast(recency_days as decimal(18,2)) as value,

        count(*) as customers

    from classed

    group by scope, scope_value, segment, recency_days

    union all

    select
        scope,
        scope_value,
        segment,
        'frequency' as measure,
        cast(frequency as decimal(18,2)) as value,

        count(*) as customers

    from classed

    group by scope, scope_value, segment, frequency

    union all

    select
        scope,
        scope_value,
        segment,
        'monetary' as measure,
        monetary as value,

        count(*) as customers

    from classed

    group by scope, scope_value, segment, monetary

),

running as (

    select
        *,

        sum(customers) over (
            partition by scope, scope_value, segment, measure
            order by value
            rows between unbounded preceding and current row
        ) as end_position,
        sum(customers) over (
            partition by scope, scope_value, segment, measure
            order by value
            rows between unbounded preceding and unbounded following
        ) as population

    from histogram

),

-- The middle value, or the two middle ones, as twice the median.
middles as (

    select
        scope,
        scope_value,
        segment,
        measure,

        min(case when end_position > (population - 1) / 2 then value end)
        + min(case when end_position > population / 2 then value end)
            as middles

    from running

    group by scope, scope_value, segment, measure

),

final as (

    select
        scope,
        scope_value,
        segment,

        cast(max(case when measure = 'recency' then middles end) as double) / 2
            as median_recency_days,
        cast(max(case when measure = 'frequency' then middles end) as double)
        / 2 as median_frequency,
        cast(
            max(case when measure = 'monetary' then middles end) / 2
            as decimal(18,2)
        ) as median_monetary

    from middles

    group by scope, scope_value, segment

)

select * from final
