-- checks.predictions_are_possible: probabilities and money of predictions make sense.
--
-- reads   metrics.customer_predictions
-- params  none

with

predictions as (

    select *

    from metrics.customer_predictions

),

final as (

    select *

    from predictions

    where
        p_alive not between 0 and 1
        or expected_purchases_365 is null
        or basis = model
        and model <> 'cohort average'
        and predicted_value is null
        or expected_spend < 0
        or expected_purchases_30 < 0
        or expected_purchases_90 < expected_purchases_30
        or expected_purchases_365 < expected_purchases_90
        or predicted_value < 0
        or value_low < 0
        or value_low > value_high
        or model not in (
            'bg_nbd', 'mbg_nbd', 'pareto_nbd', 'nbd', 'cohort average'
        )
        or basis not in (model, 'prior mean')

)

select * from final
