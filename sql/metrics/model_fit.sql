-- metrics.model_fit: what the models of purchases and spend found, and how sure it is.
--
-- grain   model, parameter
-- reads   models.fit
-- params  none
--
-- model           text     bg_nbd, mbg_nbd or pareto_nbd, of `auto` all of them; nbd,
--                          in which nobody drops out, to compare with; gamma_gamma
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
-- customers       bigint   those it was fitted on: who bought in the calibration, for
--                          gamma_gamma those with repeat spend
-- score           double   what the candidates of `auto` are compared by, the higher
--                          the better: log-likelihood of a customer; null where
--                          nothing is compared, or the model cannot be used
-- score_basis     text     holdout: of the purchases in the hold-out; bic: of those
--                          in the calibration, less what parameters cost
-- used            text     what predictions are made of: the name of a model of
--                          purchases, or cohort average; of gamma_gamma itself, or
--                          own average
-- warnings        text     what keeps the model from being used, see
--                          metrics.model_warnings; null if nothing does
--
-- The calibration ends $holdout_days before $as_of; what comes after it is for
-- metrics.model_backtest.

select *

from models.fit
