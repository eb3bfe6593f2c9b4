-- models.fit: the parameters of the purchase and spend models.
--
-- grain   model, parameter
-- reads   facts.history_counts, facts.spend_counts
-- params  as_of, holdout_days, model_unit, purchase_model
--
-- model           text     bg_nbd, mbg_nbd, pareto_nbd, nbd or gamma_gamma
-- parameter       text     its name in the literature
-- estimate        double   where the likelihood is highest
-- standard_error  double   null where the likelihood is flat
-- unit            text     of time: day or week; gamma_gamma: money
-- log_likelihood  double   of the whole model, lengths in its unit
-- converged       boolean  whether the search came to rest
-- gradient        double   steepest slope left: log-likelihood of a customer by the
--                          logarithm of a parameter
-- iterations      bigint   steps of the search
-- customers       bigint   those it was fitted on
-- used            text     what predictions are made of: the model itself, or what
--                          stands in for it
-- warnings        text     reasons for that, as in rules.model_warnings; null if none

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
    cast(null as varchar) as used,
    cast(null as varchar) as warnings

from facts.history_counts, facts.spend_counts

where
    $as_of is null
    and $holdout_days is null
    and $purchase_model is null
    and $model_unit is null
