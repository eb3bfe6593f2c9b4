-- facts.purchase_histories: how often, how lately and for how long each customer bought.
--
-- grain   customer_id
-- reads   facts.orders
-- params  as_of, holdout_days
--
-- customer_id               id             someone with at least one sale
-- cohort_month              date           first day of the month of the first purchase
-- frequency                 bigint         repeat purchase days: purchase days less one
-- recency_days              bigint         from the first purchase day to the latest
-- age_days                  bigint         from the first purchase day to $as_of
-- repeat_spend              decimal(18,2)  net money of the repeat purchase days: 0 if
--                                          they were prepaid, below 0 if more came back
-- calibration_frequency     bigint         the same up to $as_of - $holdout_days, the
--                                          calibration; null: bought first after it
-- calibration_recency_days  bigint         likewise
-- calibration_age_days      bigint         from the first purchase day to the end of
--                                          the calibration; likewise
-- calibration_repeat_spend  decimal(18,2)  likewise, less refunds up to $as_of
-- holdout_frequency         bigint         purchase days after the calibration, likewise
--
-- What probability models of purchases call x, t_x and T. Several orders of a day
-- are one purchase. A refund lowers the purchase that it is of, on whichever day it
-- was made.

with

orders as (

    select
        customer_id,
        first_order_date,
        order_date - first_order_date as day_of_life,
        $as_of - first_order_date as age_days,
        previous_order_date is distinct from order_date as is_new_day,
        $as_of - order_date >= $holdout_days as is_calibration,
        net

    from facts.orders

),

totals as (

    select
        customer_id,

        min(first_order_date) as first_order_date,
        count(case when is_new_day then 1 end) - 1 as frequency,
        max(day_of_life) as recency_days,
        max(age_days) as age_days,
        sum(case when day_of_life > 0 then net else 0 end) as repeat_spend,
        count(case when is_calibration and is_new_day then 1 end)
            as calibration_days,
        max(case when is_calibration then day_of_life end)
            as calibration_recency_days,
        sum(case when is_calibration and day_of_life > 0 then net else 0 end)
            as calibration_repeat_spend

    from orders

    group by customer_id

),

final as (

    select
        customer_id,

        cast(date_trunc('month', first_order_date) as date) as cohort_month,
        frequency,
        recency_days,
        age_days,
        cast(repeat_spend as decimal(18,2)) as repeat_spend,
        case when calibration_days > 0 then calibration_days - 1 end
            as calibration_frequency,
        calibration_recency_days,
        case when calibration_days > 0 then age_days - $holdout_days end
            as calibration_age_days,
        case
            when calibration_days > 0
                then cast(calibration_repeat_spend as decimal(18,2))
        end as calibration_repeat_spend,
        case when calibration_days > 0 then frequency + 1 - calibration_days end
            as holdout_frequency

    from totals

)

select * from final
