-- models.fit: the parameters of the purchase and spend models.
--
-- grain   model, parameter
-- reads   facts.history_counts, facts.holdout_counts, facts.spend_counts
-- params  as_of, holdout_days, model_unit, purchase_model
--
-- model           text     bg_nbd, mbg_nbd, pareto_nbd, nbd or gamma_gamma
-- parameter       text     its name in the literature
-- estimate        double   where the likelihood is highest; 1e18 where it grows
--                          without end
-- standard_error  double   null where the likelihood is flat
-- unit            text     of time: day or week; gamma_gamma: money
-- log_likelihood  double   of the whole model, a density: lengths in its unit
-- converged       boolean  whether the search came to rest
-- gradient        double   steepest slope left: log-likelihood of a customer by the
--                          logarithm of a mean or a spread
-- iterations      bigint   steps of the search
-- customers       bigint   those it was fitted on
-- score           double   what the candidates of `auto` are compared by, the higher
--                          the better: log-likelihood of a customer; null where
--                          nothing is compared, or the model cannot be used
-- score_basis     text     holdout: of the purchases in the hold-out; bic: of those
--                          in the calibration, less what parameters cost
-- used            text     what predictions are made of: the name of a model of
--                          purchases, or cohort average; of gamma_gamma itself, or
--                          own average
-- warnings        text     what keeps the model from being used, as in
--                          rules.model_warnings; null if nothing does

select
    cast(null as varchar) as model,
    cast(null as varchar) as parameter,
    cast(null as double) as estimate,
    cast(null as double) as standard_error,
    cast(null as varchar) as unit,
    cast(null as double) as log_likelihood,
    cast(null as boolean) as converged,
    cast(null as double) as gradient,
    cast(null as bigint) as iterations,
    cast(null as bigint) as customers,
    cast(null as double) as score,
    cast(null as varchar) as score_basis,
    cast(null as varchar) as used,
    cast(null as varchar) as warnings

from facts.history_counts, facts.holdout_counts, facts.spend_counts

where
    $as_of is null
    and $holdout_days is null
    and $purchase_model is null
    and $model_unit is null
