-- metrics.customer_predictions: what is to be expected of each customer?
--
-- grain   customer_id
-- reads   models.predictions
-- params  none
--
-- customer_id             id             everyone who ever bought
-- p_alive                 double         probability of not having dropped out; null for
--                                        a cohort average
-- expected_purchases_30   double         purchase days within 30 days
-- expected_purchases_90   double         within 90 days
-- expected_purchases_365  double         within 365 days
-- expected_spend          decimal(18,2)  money of a purchase day
-- predicted_value         decimal(18,2)  revenue within $clv_horizon_days, discounted
--                                        by $discount_rate a year, month by month
-- value_low               decimal(18,2)  lower end of its interval; null for an average
-- value_high              decimal(18,2)  upper end
-- model                   text           the model of purchases: bg_nbd, mbg_nbd,
--                                        pareto_nbd or nbd; cohort average: none, see
--                                        metrics.model_warnings
-- basis                   text           the name of that model: of the customer's own
--                                        purchases and spend; prior mean: no repeat
--                                        purchase, so spend is that of all, or of the
--                                        cohort where spend is not modelled; cohort
--                                        average
--
-- Money is net of refunds. Who has bought again without paying, as on prepaid
-- visits, is expected to spend 0.
--
-- The interval holds $value_interval of the outcomes: quantiles of how many
-- purchases come, each worth the expected spend, discounted like the mean. It
-- does not count how uncertain spend and parameters are. BG/NBD lets nobody drop out
-- before a second purchase, so one-time buyers have a p_alive of 1; MBG/NBD does.

with

predictions as (

    select
        customer_id,
        p_alive,
        expected_purchases_30,
        expected_purchases_90,
        expected_purchases_365,
        expected_spend,
        predicted_value,
        value_low,
        value_high,
        model,
        basis

    from models.predictions

),

final as (

    select
        customer_id,

        p_alive,
        expected_purchases_30,
        expected_purchases_90,
        expected_purchases_365,
        cast(expected_spend as decimal(18,2)) as expected_spend,
        cast(predicted_value as decimal(18,2)) as predicted_value,
        cast(value_low as decimal(18,2)) as value_low,
        cast(value_high as decimal(18,2)) as value_high,
        model,
        basis

    from predictions

)

select * from final
