-- Recency, frequency and revenue: scores by quantiles, and the eight classes.

create temp table segments as
select * from (
    values
        (true, true, true, 'important_value', 'important value', '重要价值',
            'serve first: best people, early access, no discount needed',
            '优先服务：专人维护，新品优先，无需打折'),
        (true, false, true, 'important_development', 'important development',
            '重要发展',
            'raise frequency: membership, packages, the next appointment',
            '提升频次：会员、套餐、预约下次到店'),
        (false, true, true, 'important_keep', 'important keep', '重要保持',
            'keep the rhythm: a satisfaction call before the habit breaks',
            '保持节奏：满意度回访，主动联系'),
        (false, false, true, 'important_win_back', 'important win-back',
            '重要挽留',
            'win back: ask in person what went wrong, make an offer',
            '重点挽留：一对一询问流失原因，给出专属方案'),
        (true, true, false, 'general_value', 'general value', '一般价值',
            'raise the basket: add-ons and better products',
            '提升客单价：连带推荐，升级产品'),
        (true, false, false, 'general_development', 'general development',
            '一般发展',
            'bring to a second purchase: welcome series, trial offer',
            '促成复购：新客关怀，体验优惠'),
        (false, true, false, 'general_keep', 'general keep', '一般保持',
            'remind at low cost: points, seasonal messages',
            '低成本提醒：积分、节日关怀'),
        (false, false, false, 'general_win_back', 'general win-back', '一般挽留',
            'mass campaigns only; let go when they do not answer',
            '仅群发活动触达，无响应则放弃')
) as rules (
    r_high, f_high, m_high, segment, name_en, name_zh, action_en, action_zh
);

create temp table rfm as
with cuts as (
    select
        quantile_cont(recency_days::double, [0.2, 0.4, 0.6, 0.8]) as r,
        quantile_cont(purchase_days::double, [0.2, 0.4, 0.6, 0.8]) as f,
        quantile_cont(net::double, [0.2, 0.4, 0.6, 0.8]) as m
    from customers
),
scored as (
    select
        customer_id,
        recency_days,
        purchase_days as frequency,
        net as monetary,
        orders,
        5 - (recency_days > r[1])::int - (recency_days > r[2])::int
            - (recency_days > r[3])::int - (recency_days > r[4])::int as r_score,
        1 + (purchase_days > f[1])::int + (purchase_days > f[2])::int
            + (purchase_days > f[3])::int + (purchase_days > f[4])::int as f_score,
        1 + (net > m[1])::int + (net > m[2])::int
            + (net > m[3])::int + (net > m[4])::int as m_score
    from customers
    cross join cuts
),
means as (
    select avg(r_score) as r, avg(f_score) as f, avg(m_score) as m from scored
),
judged as (
    select
        scored.*,
        r_score > means.r as r_high,
        f_score > means.f as f_high,
        m_score > means.m as m_high
    from scored
    cross join means
)
select judged.*, segment, action_en as action
from judged
join segments using (r_high, f_high, m_high);

copy (select * exclude (orders) from rfm)
to '{out}/metrics.rfm_scores.parquet'
    (format parquet, compression zstd, compression_level 1);

copy (
    with totals as (
        select
            segment,
            count(*) as customers,
            sum(monetary) as revenue,
            avg(recency_days) as mean_recency_days,
            median(recency_days) as median_recency_days,
            avg(frequency) as mean_frequency,
            median(frequency) as median_frequency,
            median(monetary::double) as median_monetary,
            sum(orders) as orders
        from rfm
        group by segment
    )
    select
        segment,
        name_en,
        name_zh,
        coalesce(customers, 0) as customers,
        coalesce(customers, 0) / sum(customers) over () as customer_share,
        coalesce(revenue, 0)::decimal(18, 2) as revenue,
        coalesce(revenue, 0)::double / sum(revenue) over ()::double
            as revenue_share,
        mean_recency_days,
        median_recency_days,
        mean_frequency,
        median_frequency,
        (revenue::double / customers)::decimal(18, 2) as mean_monetary,
        median_monetary::decimal(18, 2) as median_monetary,
        (revenue::double / orders)::decimal(18, 2) as average_order_value,
        row_number() over (order by coalesce(revenue, 0) desc, segment) as rank,
        action_en,
        action_zh
    from segments
    left join totals using (segment)
) to '{out}/metrics.rfm_segments.parquet'
    (format parquet, compression zstd, compression_level 1);

copy (
    select
        r_score,
        f_score,
        m_score,
        count(*) as customers,
        sum(monetary)::decimal(18, 2) as revenue,
        avg(recency_days) as mean_recency_days,
        avg(frequency) as mean_frequency,
        segment
    from rfm
    group by r_score, f_score, m_score, segment
) to '{out}/metrics.rfm_cells.parquet'
    (format parquet, compression zstd, compression_level 1);
