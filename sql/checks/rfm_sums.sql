-- checks.rfm_sums: customers and revenue by score, segment, cell and move agree.
--
-- reads   facts.customers, metrics.rfm_scores, metrics.rfm_segments, metrics.rfm_cells, metrics.rfm_moves
-- params  rfm_window_days

with

scores as (

    select
        scope,
        scope_value,

        count(*) as customers,
        sum(monetary) as revenue

    from metrics.rfm_scores

    group by scope, scope_value

),

parts as (

    select
        'metrics.rfm_segments' as part,
        scope,
        scope_value,

        sum(customers) as customers,
        sum(revenue) as revenue

    from metrics.rfm_segments

    group by scope, scope_value

    union all

    select
        'metrics.rfm_cells' as part,
        scope,
        scope_value,

        sum(customers) as customers,
        sum(revenue) as revenue

    from metrics.rfm_cells

    group by scope, scope_value

    union all

    select
        'metrics.rfm_moves' as part,
        scope,
        scope_value,

        sum(customers) as customers,
        sum(revenue) as revenue

    from metrics.rfm_moves

    group by scope, scope_value

    union all

    -- Without a window the scores stand for all revenue there is.
    select
        'facts.customers' as part,
        'all' as scope,
        'all' as scope_value,

        count(*) as customers,
        sum(net) as revenue

    from facts.customers

    where $rfm_window_days is null

    having count(*) > 0

),

expected_parts as (

    select
        unnest(
            make_array(
                'metrics.rfm_segments', 'metrics.rfm_cells', 'metrics.rfm_moves'
            )
        ) as part

),

missing as (

    select
        expected_parts.part,
        scores.scope,
        scores.scope_value,
        scores.customers as customers_scored,
        cast(null as bigint) as customers_in_part

    from scores

    cross join expected_parts

    left anti join parts
        on expected_parts.part = parts.part
        and scores.scope = parts.scope
        and scores.scope_value = parts.scope_value

),

unequal as (

    select
        parts.part,
        parts.scope,
        parts.scope_value,
        scores.customers as customers_scored,
        parts.customers as customers_in_part

    from parts

    left join scores
        on parts.scope = scores.scope
        and parts.scope_value = scores.scope_value

    where scores.customers is null
        or parts.customers <> scores.customers
        or parts.revenue <> scores.revenue

),

final as (

    select * from missing

    union all

    select * from unequal

)

select * from final
