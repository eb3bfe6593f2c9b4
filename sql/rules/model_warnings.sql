-- rules.model_warnings: what a warning about a model means.
--
-- grain   reason
-- reads   none
-- params  none
-- rule    cells reason in (too_few_customers, too_short, too_few_repeats, degenerate_dropout, flat_likelihood, not_converged, too_few_spenders, spend_follows_frequency, no_mean_spend)
--
-- reason   text  the code, as in metrics.model_fit
-- meaning  text  what was found
--
-- tenure decides by the code; the words here are for people.

with

rules as (

    select *

    from (
        values
            (
                'too_few_customers',
                'fewer than 500 customers bought in the calibration'
            ),
            (
                'too_short',
                'the calibration is shorter than 180 days'
            ),
            (
                'too_few_repeats',
                'nobody bought on three days or more'
            ),
            (
                'degenerate_dropout',
                'no better than a model in which nobody drops out'
            ),
            (
                'flat_likelihood',
                'the likelihood is flat: some parameter could be anything, or grows without end'
            ),
            (
                'not_converged',
                'the search for the highest likelihood did not come to rest'
            ),
            (
                'too_few_spenders',
                'fewer than 100 customers with repeat spend'
            ),
            (
                'spend_follows_frequency',
                'correlation of frequency and mean spend beyond 0.3'
            ),
            (
                'no_mean_spend',
                'q of 1 or less: mean spend would be infinite'
            )
    ) as listed (reason, meaning)

),

final as (

    select
        reason,
        meaning

    from rules

)

select * from final
