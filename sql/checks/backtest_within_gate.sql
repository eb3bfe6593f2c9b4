-- checks.backtest_within_gate: the model is not further off than the gate allows.
--
-- reads   metrics.model_backtest, models.last_backtest
-- params  backtest_error_max, backtest_worse_max
--
-- At the end of the hold-out, of the model that predictions are made of: expected
-- against actual purchases, all weeks together, against the bound and against the
-- last day that was published. No purchase at all is an error beyond any bound.

with

weeks as (

    select
        model,
        cumulative_actual,
        cumulative_expected,
        cumulative_error,

        row_number() over (order by key desc) as place

    from metrics.model_backtest

    where is_used and basis = 'week'

),

last_weeks as (

    select
        cumulative_error,

        row_number() over (order by key desc) as place

    from models.last_backtest

    where is_used and basis = 'week'

),

last_end as (

    select max(case when place = 1 then cumulative_error end) as cumulative_error

    from last_weeks

),

final as (

    select
        weeks.model,
        weeks.cumulative_actual as actual,
        weeks.cumulative_expected as expected,
        weeks.cumulative_error as error,
        $backtest_error_max as error_max,
        last_end.cumulative_error as last_error,
        $backtest_worse_max as worse_max

    from weeks

    cross join last_end

    where
        weeks.place = 1
        and (
            abs(weeks.cumulative_expected - weeks.cumulative_actual)
            > $backtest_error_max * weeks.cumulative_actual
            or coalesce(abs(weeks.cumulative_error), 1e300)
            > abs(last_end.cumulative_error) + $backtest_worse_max
        )

)

select * from final
