-- metrics.rfm_cuts: where are the customers cut into five for their scores?
--
-- grain   snapshot, scope, scope_value, measure
-- reads   facts.rfm_values
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

occurring as (

    select
        snapshot,
        scope,
        scope_value,
        measure,
        value,
        first_position,
        end_position

    from facts.rfm_values

),

populations as (

    select
        snapshot,
        scope,
        scope_value,
        measure,

        max(end_position) as customers

    from occurring

    group by snapshot, scope, scope_value, measure

),

fifths as (

    select
        unnest(range(1, 5)) as fifth

),

-- The quantile lies `offset_fifths` fifths of the way from the value at
-- `position` to the next.
targets as (

    select
        populations.snapshot,
        populations.scope,
        populations.scope_value,
        populations.measure,
        populations.customers,
        fifths.fifth,

        (populations.customers - 1) * fifths.fifth / 5 as position,
        (populations.customers - 1) * fifths.fifth % 5 as offset_fifths

    from populations

    cross join fifths

),

weighted as (

    select
        targets.snapshot,
        targets.scope,
        targets.scope_value,
        targets.measure,
        targets.customers,
        targets.fifth,
        case
            when targets.position between
                occurring.first_position and occurring.end_position - 1
                then (5 - targets.offset_fifths) * occurring.value
            else 0
        end
        + case
            when targets.position + 1 between
                occurring.first_position and occurring.end_position - 1
                then targets.offset_fifths * occurring.value
            else 0
        end as fifths_of_value

    from occurring

    inner join targets
        on occurring.snapshot = targets.snapshot
        and occurring.scope = targets.scope
        and occurring.scope_value = targets.scope_value
        and occurring.measure = targets.measure
        and occurring.first_position <= targets.position + 1
        and occurring.end_position > targets.position

),

quantiles as (

    select
        snapshot,
        scope,
        scope_value,
        measure,
        customers,
        fifth,

        cast(
            sum(fifths_of_value) * cast(0.2 as decimal(2,1)) as decimal(20,3)
        ) as quantile

    from weighted

    group by snapshot, scope, scope_value, measure, customers, fifth

),

final as (

    select
        snapshot,
        scope,
        scope_value,
        measure,

        customers,
        max(case when fifth = 1 then quantile end) as cut_20,
        max(case when fifth = 2 then quantile end) as cut_40,
        max(case when fifth = 3 then quantile end) as cut_60,
        max(case when fifth = 4 then quantile end) as cut_80

    from quantiles

    group by snapshot, scope, scope_value, measure, customers

)

select * from final
