-- metrics.repurchase_gap_histogram: how many days lie between purchases?
--
-- grain   basis, gap_days
-- reads   facts.orders
-- params  none
--
-- basis             text    order: between consecutive orders of a customer, 0 on one
--                           day; day: between consecutive purchase days, at least 1
-- gap_days          bigint  whole calendar days; only gaps that occur are rows
-- gaps              bigint  how often
-- share             double  gaps / all gaps of the basis
-- cumulative_share  double  share of gaps up to this long
--
-- Only gaps that have ended are seen, so a young history shows them too short.

with

orders as (

    select days_since_previous as gap_days

    from facts.orders

    where days_since_previous is not null

),

gaps as (

    select
        gap_days,

        count(*) as gaps

    from orders

    group by gap_days

),

bases as (

    select *

    from (values ('order'), ('day')) as names (basis)

),

-- The orders of one day are gaps of 0 to each other: without those, what is left
-- are the gaps between days.
based as (

    select
        bases.basis,
        gaps.gap_days,
        gaps.gaps

    from gaps

    cross join bases

    where bases.basis = 'order'
        or gaps.gap_days > 0

),

totalled as (

    select
        *,

        sum(gaps) over (partition by basis) as all_gaps,
        sum(gaps) over (
            partition by basis
            order by gap_days
            rows between unbounded preceding and current row
        ) as gaps_so_far

    from based

),

final as (

    select
        basis,
        gap_days,

        gaps,
        cast(gaps as double) / all_gaps as share,
        cast(gaps_so_far as double) / all_gaps as cumulative_share

    from totalled

)

select * from final
