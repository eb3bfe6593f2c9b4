-- models.last_backtest: metrics.model_backtest as last published for an earlier day.
--
-- grain   model, basis, key
-- reads   none
-- params  none
--
-- model             text     as there
-- is_used           boolean  as there
-- basis             text     as there
-- key               bigint   as there
-- cumulative_error  double   as there
--
-- Only checks may read it: a published table does not depend on other runs.

select
    cast(null as varchar) as model,
    cast(null as boolean) as is_used,
    cast(null as varchar) as basis,
    cast(null as bigint) as key,
    cast(null as double) as cumulative_error

where false
