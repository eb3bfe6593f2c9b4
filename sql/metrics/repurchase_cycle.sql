-- metrics.repurchase_cycle: how long does a customer wait until buying again?
--
-- grain   basis
-- reads   metrics.repurchase_gap_histogram
-- params  none
--
-- basis        text    order: between consecutive orders of a customer, 0 on one day;
--                      day: between consecutive purchase days, at least 1
-- gaps         bigint  gaps observed
-- mean_days    double  null without a gap, as all below
-- p25_days     double  a quarter of the gaps are at most this long
-- median_days  double  half of them
-- p75_days     double  three quarters of them
-- p90_days     double  nine tenths of them
-- max_days     bigint  the longest
--
-- Quantiles interpolate linearly between the two nearest gaps (type 7). Only gaps
-- that have ended are seen, so a young history shows them too short.

with

histogram as (

    select
        basis,
        gap_days,
        gaps

    from metrics.repurchase_gap_histogram

),

bases as (

    select *

    from (values ('order'), ('day')) as names (basis)

),

percents as (

    select *

    from (values (25), (50), (75), (90)) as numbers (percent)

),

-- Gaps of one length stand at the positions up_to - gaps .. up_to - 1 of their
-- basis, counted from 0.
placed as (

    select
        *,

        sum(gaps) over (
            partition by basis
            order by gap_days
            rows between unbounded preceding and current row
        ) as up_to,
        sum(gaps) over (partition by basis) as all_gaps

    from histogram

),

-- A quantile stands at position (all_gaps - 1) * percent / 100: between `low` and
-- the next one, `hundredths` of the way.
aimed as (

    select
        placed.basis,
        placed.gap_days,
        placed.gaps,
        placed.up_to,
        placed.all_gaps,
        percents.percent,

        (placed.all_gaps - 1) * percents.percent / 100 as low,
        (placed.all_gaps - 1) * percents.percent % 100 as hundredths

    from placed

    cross join percents

),

hit as (

    select
        basis,
        percent,
        hundredths,

        sum(gaps) as gaps,
        sum(gaps * gap_days) as days,
        max(gap_days) as max_days,
        sum(case when up_to - gaps <= low and up_to > low then gap_days end)
            as low_gap,
        sum(
            case
                when up_to - gaps <= low + 1 and up_to > low + 1
                    then gap_days
            end
        ) as high_gap

    from aimed

    group by basis, percent, hundredths

),

quantiles as (

    select
        *,

        -- The highest position has no next one, and needs none.
        cast(
            low_gap * 100
            + (coalesce(high_gap, low_gap) - low_gap) * hundredths
            as double
        ) / 100 as quantile_days

    from hit

),

-- The totals are the same at every percent.
final as (

    select
        bases.basis,

        cast(coalesce(max(quantiles.gaps), 0) as bigint) as gaps,
        cast(max(quantiles.days) as double) / max(quantiles.gaps) as mean_days,
        max(case when quantiles.percent = 25 then quantiles.quantile_days end)
            as p25_days,
        max(case when quantiles.percent = 50 then quantiles.quantile_days end)
            as median_days,
        max(case when quantiles.percent = 75 then quantiles.quantile_days end)
            as p75_days,
        max(case when quantiles.percent = 90 then quantiles.quantile_days end)
            as p90_days,
        max(quantiles.max_days) as max_days

    from bases

    left join quantiles
        on bases.basis = quantiles.basis

    group by bases.basis

)

select * from final
