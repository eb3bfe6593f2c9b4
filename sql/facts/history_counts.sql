-- facts.history_counts: how many customers have each history: all a fit needs.
--
-- grain   frequency, recency_days, age_days
-- reads   facts.holdout_counts
-- params  none
--
-- frequency     bigint  repeat purchase days in the calibration
-- recency_days  bigint  from the first purchase day to the latest
-- age_days      bigint  from the first purchase day to the end of the calibration
-- customers     bigint  who have this history

with

counts as (

    select
        frequency,
        recency_days,
        age_days,
        customers

    from facts.holdout_counts

),

final as (

    select
        frequency,
        recency_days,
        age_days,

        sum(customers) as customers

    from counts

    group by frequency, recency_days, age_days

)

select * from final
