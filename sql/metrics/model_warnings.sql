-- metrics.model_warnings: why a model is not what predictions are made of.
--
-- grain   model, reason
-- reads   models.fit, rules.model_warnings
-- params  none
--
-- model     text  as in metrics.model_fit
-- reason    text  a code
-- meaning   text  what was found
-- fallback  text  what stands in for the model

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
