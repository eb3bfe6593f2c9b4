-- metrics.rfm_segments: how many customers, and how much revenue, in each class?
--
-- grain   scope, scope_value, segment
-- reads   metrics.rfm_classes, metrics.rfm_medians, rules.rfm_segments
-- params  none
--
-- scope                text           as in metrics.rfm_scores
-- scope_value          text           as in metrics.rfm_scores
-- segment              text           key of the class
-- name_en              text           its name in English
-- name_zh              text           its name in Chinese
-- customers            bigint         0 where nobody is
-- customer_share       double         of the customers of the scope value
-- revenue              decimal(18,2)  net, in the window
-- revenue_share        double         of the revenue of the scope value; may be
--                                     below 0 or above 1 where refunds weigh more
--                                     than sales; null if that revenue is 0
-- mean_recency_days    double         null, as the next seven, where nobody is
-- median_recency_days  double         type 7
-- mean_frequency       double         as scored
-- median_frequency     double         type 7
-- mean_monetary        decimal(18,2)  revenue / customers
-- median_monetary      decimal(18,2)  type 7
-- average_order_value  decimal(18,2)  revenue / orders in the window; null without
--                                     any order
-- rank                 bigint         by revenue, the highest 1, ties by segment
-- action_en            text           what to do, in English
-- action_zh            text           the same in Chinese

with

classes as (

    select
        scope,
        scope_value,
        customers,
        recency_days,
        frequency,
        orders,
        revenue,
        segment

    from metrics.rfm_classes

    where snapshot = 'now'

),

-- Where an analyst lets several cells share a segment, the texts of one stand.
segments as (

    select
        segment,

        min(name_en) as name_en,
        min(name_zh) as name_zh,
        min(action_en) as action_en,
        min(action_zh) as action_zh

    from rules.rfm_segments

    group by segment

),

scope_totals as (

    select
        scope,
        scope_value,

        sum(customers) as customers,
        sum(revenue) as revenue

    from classes

    group by scope, scope_value

),

segment_totals as (

    select
        scope,
        scope_value,
        segment,

        sum(customers) as customers,
        sum(recency_days) as recency_days,
        sum(frequency) as frequency,
        sum(orders) as orders,
        sum(revenue) as revenue

    from classes

    group by scope, scope_value, segment

),

medians as (

    select
        scope,
        scope_value,
        segment,
        median_recency_days,
        median_frequency,
        median_monetary

    from metrics.rfm_medians

),

final as (

    select
        scope_totals.scope,
        scope_totals.scope_value,
        segments.segment,

        segments.name_en,
        segments.name_zh,
        coalesce(segment_totals.customers, 0) as customers,
        cast(coalesce(segment_totals.customers, 0) as double)
        / scope_totals.customers as customer_share,
        cast(coalesce(segment_totals.revenue, 0) as decimal(18,2)) as revenue,
        cast(coalesce(segment_totals.revenue, 0) as double)
        / nullif(cast(scope_totals.revenue as double), 0) as revenue_share,
        cast(segment_totals.recency_days as double)
        / segment_totals.customers as mean_recency_days,
        medians.median_recency_days,
        cast(segment_totals.frequency as double)
        / segment_totals.customers as mean_frequency,
        medians.median_frequency,
        cast(
            segment_totals.revenue / segment_totals.customers as decimal(18,2)
        ) as mean_monetary,
        medians.median_monetary,
        cast(
            segment_totals.revenue / nullif(segment_totals.orders, 0)
            as decimal(18,2)
        ) as average_order_value,
        cast(
            row_number() over (
                partition by scope_totals.scope, scope_totals.scope_value
                order by
                    coalesce(segment_totals.revenue, 0) desc, segments.segment
            ) as bigint
        ) as rank,
        segments.action_en,
        segments.action_zh

    from scope_totals

    cross join segments

    left join segment_totals
        on scope_totals.scope = segment_totals.scope
        and scope_totals.scope_value = segment_totals.scope_value
        and segments.segment = segment_totals.segment

    left join medians
        on scope_totals.scope = medians.scope
        and scope_totals.scope_value = medians.scope_value
        and segments.segment = medians.segment

)

select * from final
