-- metrics.model_warnings: why a model is not what predictions are made of.
--
-- grain   model, reason
-- reads   models.fit, rules.model_warnings
-- params  none
--
-- model     text  as in metrics.model_fit
-- reason    text  a code
-- meaning   text  what was found
-- fallback  text  what predictions are made of; the model itself where parameters are
--                 open, but not what they predict

with

models as (

    select distinct
        model,
        used,
        warnings

    from models.fit

    where warnings is not null

),

reasons as (

    select
        reason,
        meaning

    from rules.model_warnings

),

final as (

    select
        models.model,
        reasons.reason,

        reasons.meaning,
        models.used as fallback

    from models

    inner join reasons
        on strpos(', ' || models.warnings || ',', ', ' || reasons.reason || ',') > 0

)

select * from final
