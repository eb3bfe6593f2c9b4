-- facts.rfm_buckets: how many customers have which recency, frequency and revenue?
--
-- grain   snapshot, scope, scope_value, measure, bucket
-- reads   facts.rfm_measures
-- params  none
--
-- snapshot        text    now or before, as in facts.rfm_measures
-- scope           text    as in facts.rfm_measures
-- scope_value     text    as in facts.rfm_measures
-- measure         text    recency, frequency or monetary
-- bucket          bigint  days or purchases; of money the monetary_bucket
-- customers       bigint  customers in it
-- first_position  bigint  where the first of them stands among all of the scope
--                         value, sorted by the measure, counted from 0
-- end_position    bigint  where the first of the next bucket stands
-- population      bigint  customers of the scope value
--
-- Days and purchases take few values, money nearly as many as there are customers:
-- a quantile of it is looked for in the right bucket alone.

with

measures as (

    select
        snapshot,
        scope,
        scope_value,
        recency_days,
        frequency,
        monetary_bucket

    from facts.rfm_measures

),

buckets as (

    select
        snapshot,
        scope,
        scope_value,
        'recency' as measure,
        recency_days as bucket,

        count(*) as customers

    from measures

    group by snapshot, scope, scope_value, recency_days

    union all

    select
        snapshot,
        scope,
        scope_value,
        'frequency' as measure,
        frequency as bucket,

        count(*) as customers

    from measures

    group by snapshot, scope, scope_value, frequency

    union all

    select
        snapshot,
        scope,
        scope_value,
        'monetary' as measure,
        monetary_bucket as bucket,

        count(*) as customers

    from measures

    group by snapshot, scope, scope_value, monetary_bucket

),

counted as (

    select
        *,

        sum(customers) over (
            partition by snapshot, scope, scope_value, measure
            order by bucket
            rows between unbounded preceding and current row
        ) as end_position,
        sum(customers) over (
            partition by snapshot, scope, scope_value, measure
            order by bucket
            rows between unbounded preceding and unbounded following
        ) as population

    from buckets

),

final as (

    select
        snapshot,
        scope,
        scope_value,
        measure,
        bucket,

        customers,
        end_position - customers as first_position,
        end_position,
        population

    from counted

)

select * from final
