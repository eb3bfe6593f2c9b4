-- models.predictions: what the models expect of each customer.
--
-- grain   customer_id
-- reads   facts.purchase_histories, facts.purchase_cohorts, models.fit
-- params  clv_horizon_days, discount_rate, model_unit, value_interval
--
-- customer_id             id      someone with at least one sale
-- p_alive                 double  null for a cohort average
-- expected_purchases_30   double  purchase days within 30 days
-- expected_purchases_90   double  within 90 days
-- expected_purchases_365  double  within 365 days
-- expected_spend          double  money of a purchase day
-- predicted_value         double  money within $clv_horizon_days, discounted
-- value_low               double  lower end of its interval; null for an average
-- value_high              double  upper end
-- model                   text    the model of purchases, or cohort average
-- basis                   text    the same; prior mean: spend is not the customer's own

select
    purchase_histories.customer_id,
    cast(null as double) as p_alive,
    cast(null as double) as expected_purchases_30,
    cast(null as double) as expected_purchases_90,
    cast(null as double) as expected_purchases_365,
    cast(null as double) as expected_spend,
    cast(null as double) as predicted_value,
    cast(null as double) as value_low,
    cast(null as double) as value_high,
    cast(null as varchar) as model,
    cast(null as varchar) as basis

from facts.purchase_histories, facts.purchase_cohorts, models.fit

where
    $clv_horizon_days is null
    and $discount_rate is null
    and $value_interval is null
    and $model_unit is null
