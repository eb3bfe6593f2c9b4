-- models.expected: repeat purchases that the models expect in the hold-out days.
--
-- grain   model, basis, key
-- reads   facts.history_counts, models.fit
-- params  as_of, holdout_days, model_unit
--
-- model                text     every model that was fitted and came to rest
-- is_used              boolean  whether predictions are made of it
-- basis                text     week or frequency
-- key                  bigint   week of the hold-out, from 1; or frequency in the
--                               calibration, 7 for 7 and more
-- expected             double   purchase days
-- cumulative_expected  double   up to and with this key

select
    cast(null as varchar) as model,
    cast(null as boolean) as is_used,
    cast(null as varchar) as basis,
    cast(null as bigint) as key,
    cast(null as double) as expected,
    cast(null as double) as cumulative_expected

from facts.history_counts, models.fit

where
    $as_of is null
    and $holdout_days is null
    and $model_unit is null
