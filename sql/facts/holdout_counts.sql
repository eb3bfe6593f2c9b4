-- facts.holdout_counts: how often customers of each history bought in the hold-out.
--
-- grain   frequency, recency_days, age_days, holdout_frequency
-- reads   facts.purchase_histories
-- params  none
--
-- frequency          bigint  repeat purchase days in the calibration
-- recency_days       bigint  from the first purchase day to the latest
-- age_days           bigint  from the first purchase day to the end of the calibration
-- holdout_frequency  bigint  purchase days after the calibration
-- customers          bigint  who have this history and bought as often after it
--
-- What candidates are compared by: each says how likely it was that just so many
-- purchases would come.

with

histories as (

    select
        calibration_frequency as frequency,
        calibration_recency_days as recency_days,
        calibration_age_days as age_days,
        holdout_frequency

    from facts.purchase_histories

    where calibration_frequency is not null

),

final as (

    select
        frequency,
        recency_days,
        age_days,
        holdout_frequency,

        count(*) as customers

    from histories

    group by frequency, recency_days, age_days, holdout_frequency

)

select * from final
