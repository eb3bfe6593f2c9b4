-- facts.rfm_values: the values that recency, frequency and revenue take, sorted.
--
-- grain   snapshot, scope, scope_value, measure, value
-- reads   facts.rfm_measures
-- params  none
--
-- snapshot        text           now or before, as in facts.rfm_measures
-- scope           text           as in facts.rfm_measures
-- scope_value     text           as in facts.rfm_measures
-- measure         text           recency, frequency or monetary
-- value           decimal(18,2)  days, purchases or money
-- customers       bigint         customers who have it
-- first_position  bigint         where the first of them stands among all of the
--                                scope value, sorted by value, counted from 0
-- end_position    bigint         where the first with a higher value would stand
--
-- From these any quantile is exact, at the cost of one small table.

with

measures as (

    select
        snapshot,
        scope,
        scope_value,
        recency_days,
        frequency,
        monetary

    from facts.rfm_measures

),

histogram as (

    select
        snapshot,
        scope,
        scope_value,
        'recency' as measure,
        cast(recency_days as decimal(18,2)) as value,

        count(*) as customers

    from measures

    group by snapshot, scope, scope_value, recency_days

    union all

    select
        snapshot,
        scope,
        scope_value,
        'frequency' as measure,
        cast(frequency as decimal(18,2)) as value,

        count(*) as customers

    from measures

    group by snapshot, scope, scope_value, frequency

    union all

    select
        snapshot,
        scope,
        scope_value,
        'monetary' as measure,
        monetary as value,

        count(*) as customers

    from measures

    group by snapshot, scope, scope_value, monetary

),

running as (

    select
        *,

        sum(customers) over (
            partition by snapshot, scope, scope_value, measure
            order by value
            rows between unbounded preceding and current row
        ) as end_position

    from histogram

),

final as (

    select
        snapshot,
        scope,
        scope_value,
        measure,
        value,

        customers,
        end_position - customers as first_position,
        end_position

    from running

)

select * from final
