-- metrics.rfm_cells: how many customers, and how much revenue, in each triple of
-- scores?
--
-- grain   scope, scope_value, r_score, f_score, m_score
-- reads   metrics.rfm_classes
-- params  none
--
-- scope              text           as in metrics.rfm_scores
-- scope_value        text           as in metrics.rfm_scores
-- r_score            bigint         1 to 5
-- f_score            bigint         1 to 5
-- m_score            bigint         1 to 5
-- customers          bigint         triples nobody has are left out
-- revenue            decimal(18,2)  net, in the window
-- mean_recency_days  double         days since the last purchase
-- mean_frequency     double         as scored
-- segment            text           the class the triple belongs to

with

classes as (

    select
        scope,
        scope_value,
        r_score,
        f_score,
        m_score,
        customers,
        recency_days,
        frequency,
        revenue,
        segment

    from metrics.rfm_classes

    where snapshot = 'now'

),

final as (

    select
        scope,
        scope_value,
        r_score,
        f_score,
        m_score,

        customers,
        revenue,
        cast(recency_days as double) / customers as mean_recency_days,
        cast(frequency as double) / customers as mean_frequency,
        segment

    from classes

)

select * from final
