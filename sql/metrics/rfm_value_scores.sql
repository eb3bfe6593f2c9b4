-- metrics.rfm_value_scores: which score does each value that occurs earn?
--
-- grain   snapshot, scope, scope_value, measure, value
-- reads   facts.rfm_values, metrics.rfm_cuts, rules.rfm_scores
-- params  rfm_method
--
-- snapshot     text           now or before, as in facts.rfm_measures
-- scope        text           as in facts.rfm_measures
-- scope_value  text           as in facts.rfm_measures
-- measure      text           recency, frequency or monetary
-- value        decimal(18,2)  days, purchases or money
-- customers    bigint         customers who have it
-- score        bigint         1 to 5, 5 is best; null where no rule covers it
--
-- rules: by rules.rfm_scores. quantile: 1 + how many cuts lie strictly below the
-- value. quantile_r: 1 + how many cuts + 1 do not lie above it. Recency runs the
-- other way, 5 - that count. Equal values earn equal scores; under ntile a score
-- is no function of the value, and there are no rows.

with

occurring as (

    select
        snapshot,
        scope,
        scope_value,
        measure,
        value,
        customers,
        -- Cuts lie at multiples of 0.002 and values at multiples of 0.01, so that
        -- 0.001 less reaches a cut just if the value is strictly above it.
        case
            when $rfm_method = 'quantile_r'
                then value - cast(1 as decimal(20,3))
            else value - cast(0.001 as decimal(20,3))
        end as reach

    from facts.rfm_values

),

cuts as (

    select
        snapshot,
        scope,
        scope_value,
        measure,
        cut_20,
        cut_40,
        cut_60,
        cut_80

    from metrics.rfm_cuts

    where $rfm_method in ('quantile', 'quantile_r')

),

rules as (

    select
        measure,
        score,
        at_least,
        below

    from rules.rfm_scores

    where $rfm_method = 'rules'

),

cut as (

    select
        occurring.snapshot,
        occurring.scope,
        occurring.scope_value,
        occurring.measure,
        occurring.value,
        occurring.customers,
        cast(occurring.reach >= cuts.cut_20 as bigint)
        + cast(occurring.reach >= cuts.cut_40 as bigint)
        + cast(occurring.reach >= cuts.cut_60 as bigint)
        + cast(occurring.reach >= cuts.cut_80 as bigint) as cuts_reached

    from occurring

    inner join cuts
        on occurring.snapshot = cuts.snapshot
        and occurring.scope = cuts.scope
        and occurring.scope_value = cuts.scope_value
        and occurring.measure = cuts.measure

),

final as (

    select
        snapshot,
        scope,
        scope_value,
        measure,
        value,

        customers,
        case
            when measure = 'recency' then 5 - cuts_reached
            else 1 + cuts_reached
        end as score

    from cut

    union all

    select
        occurring.snapshot,
        occurring.scope,
        occurring.scope_value,
        occurring.measure,
        occurring.value,

        occurring.customers,
        rules.score

    from occurring

    left join rules
        on occurring.measure = rules.measure
        and (rules.at_least is null or occurring.value >= rules.at_least)
        and (rules.below is null or occurring.value < rules.below)

    where $rfm_method = 'rules'

)

select * from final
