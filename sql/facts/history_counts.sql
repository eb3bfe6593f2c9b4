-- facts.history_counts: how many customers have each history: all a fit needs.
--
-- grain   frequency, recency_days, age_days
-- reads   facts.purchase_histories
-- params  none
--
-- frequency     bigint  repeat purchase days in the calibration
-- recency_days  bigint  from the first purchase day to the latest
-- age_days      bigint  from the first purchase day to the end of the calibration
-- customers     bigint  who have this history

with

histories as (

    select
        calibration_frequency as frequency,
        calibration_recency_days as recency_days,
        calibration_age_days as age_days

    from facts.purchase_histories

    where calibration_frequency is not null

),

final as (

    select
        frequency,
        recency_days,
        age_days,

        count(*) as customers

    from histories

    group by frequency, recency_days, age_days

)

select * from final
