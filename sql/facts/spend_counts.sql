-- facts.spend_counts: how many customers spend alike when they buy again.
--
-- grain   frequency, repeat_spend
-- reads   facts.purchase_histories
-- params  none
--
-- frequency     bigint         repeat purchase days in the calibration, 1 or more
-- repeat_spend  decimal(18,2)  net money of those days, above 0
-- customers     bigint         who have both
--
-- Customers without positive repeat spend say nothing of how spend varies.

with

spends as (

    select
        calibration_frequency as frequency,
        calibration_repeat_spend as repeat_spend

    from facts.purchase_histories

    where calibration_frequency > 0 and calibration_repeat_spend > 0

),

final as (

    select
        frequency,
        repeat_spend,

        count(*) as customers

    from spends

    group by frequency, repeat_spend

)

select * from final
