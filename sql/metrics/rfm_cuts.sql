-- metrics.rfm_cuts: where are the customers cut into five for their scores?
--
-- grain   snapshot, scope, scope_value, measure
-- reads   facts.rfm_measures, facts.rfm_buckets
-- params  none
--
-- snapshot     text           now or before, as in facts.rfm_measures
-- scope        text           as in facts.rfm_measures
-- scope_value  text           as in facts.rfm_measures
-- measure      text           recency, frequency or monetary
-- customers    bigint         customers of the scope value
-- cut_20       decimal(20,3)  20 % quantile of the measure, type 7: linear
--                             interpolation between neighbours
-- cut_40       decimal(20,3)  40 % quantile
-- cut_60       decimal(20,3)  60 % quantile
-- cut_80       decimal(20,3)  80 % quantile
--
-- A quantile lies whole fifths of a cent from its neighbours, so three decimals
-- hold it exactly.

with

measures as (

    select
        snapshot,
        scope,
        scope_value,
        monetary,
        monetary_bucket

    from facts.rfm_measures

),

buckets as (

    select
        snapshot,
        scope,
        scope_value,
        measure,
        bucket,
        customers,
        first_position,
        end_position,
        population

    from facts.rfm_buckets

),

fifths as (

    select
        unnest(range(1, 5)) as fifth

),

-- A quantile lies between the customers at (population - 1) * fifth / 5 and next to
-- it: only their buckets are put in order.
wanted as (

    select distinct
        buckets.snapshot,
        buckets.scope,
        buckets.scope_value,
        buckets.measure,
        buckets.bucket,
        buckets.customers,
        buckets.first_position,
        buckets.population

    from fifths

    inner join buckets
        on buckets.first_position
            <= (buckets.population - 1) * fifths.fifth / 5 + 1
        and buckets.end_position > (buckets.population - 1) * fifths.fifth / 5

),

histogram as (

    select
        snapshot,
        scope,
        scope_value,
        measure,
        bucket,
        first_position,
        population,
        cast(bucket as decimal(18,2)) as value,

        customers

    from wanted

    where measure <> 'monetary'

    union all

    select
        wanted.snapshot,
        wanted.scope,
        wanted.scope_value,
        wanted.measure,
        wanted.bucket,
        wanted.first_position,
        wanted.population,
        measures.monetary as value,

        count(*) as customers

    from measures

    inner join wanted
        on measures.snapshot = wanted.snapshot
        and measures.scope = wanted.scope
        and measures.scope_value = wanted.scope_value
        and measures.monetary_bucket = wanted.bucket

    where wanted.measure = 'monetary'

    group by
        wanted.snapshot,
        wanted.scope,
        wanted.scope_value,
        wanted.measure,
        wanted.bucket,
        wanted.first_position,
        wanted.population,
        measures.monetary

),

placed as (

    select
        *,

        first_position + sum(customers) over (
            partition by snapshot, scope, scope_value, measure, bucket
            order by value
            rows between unbounded preceding and current row
        ) as end_position

    from histogram

),

-- The quantile lies `offset_fifths` fifths of the way from the value at
-- `position` to the next.
aimed as (

    select
        placed.snapshot,
        placed.scope,
        placed.scope_value,
        placed.measure,
        placed.value,
        placed.population,
        placed.end_position - placed.customers as begin_position,
        placed.end_position - 1 as last_position,
        fifths.fifth,
        (placed.population - 1) * fifths.fifth / 5 as position,
        (placed.population - 1) * fifths.fifth % 5 as offset_fifths

    from fifths

    inner join placed
        on placed.end_position - placed.customers
            <= (placed.population - 1) * fifths.fifth / 5 + 1
        and placed.end_position > (placed.population - 1) * fifths.fifth / 5

),

weighted as (

    select
        *,
        case
            when position between begin_position and last_position
                then (5 - offset_fifths) * value
            else 0
        end
        + case
            when position + 1 between begin_position and last_position
                then offset_fifths * value
            else 0
        end as fifths_of_value

    from aimed

),

quantiles as (

    select
        snapshot,
        scope,
        scope_value,
        measure,
        population,
        fifth,

        cast(
            sum(fifths_of_value) * cast(0.2 as decimal(2,1)) as decimal(20,3)
        ) as quantile

    from weighted

    group by snapshot, scope, scope_value, measure, population, fifth

),

final as (

    select
        snapshot,
        scope,
        scope_value,
        measure,

        population as customers,
        max(case when fifth = 1 then quantile end) as cut_20,
        max(case when fifth = 2 then quantile end) as cut_40,
        max(case when fifth = 3 then quantile end) as cut_60,
        max(case when fifth = 4 then quantile end) as cut_80

    from quantiles

    group by snapshot, scope, scope_value, measure, population

)

select * from final
