-- metrics.repurchase_steps: how many customers go from their nth order to the next,
-- and how soon?
--
-- grain   order_number
-- reads   facts.orders
-- params  as_of, step_window_days
--
-- order_number           bigint  n; 1 = the first order
-- customers              bigint  customers who reached it
-- eligible_customers     bigint  those observed for $step_window_days after it
-- converted_customers    bigint  eligible ones whose next order came within them
-- conversion_rate        double  converted / eligible; null if none is eligible
-- median_days_to_next    double  of the converted ones; null if there are none
--
-- Orders, not days: a next order on the same day counts, after 0 days. The median
-- looks at the same customers as the rate; over all observed gaps it would be
-- shorter the younger the history is. Customers known from before are left out:
-- how many orders they had is not known.

with

orders as (

    select
        order_number,
        order_date,
        next_order_date

    from facts.orders

    where not is_known_before

),

steps as (

    select
        order_number,
        $as_of - order_date >= $step_window_days as is_eligible,
        next_order_date - order_date as days_to_next

    from orders

),

gaps as (

    select
        order_number,
        case
            when is_eligible and days_to_next <= $step_window_days
                then days_to_next
        end as gap_days,

        count(*) as customers,
        count(case when is_eligible then 1 end) as eligible_customers

    from steps

    group by
        order_number,
        case
            when is_eligible and days_to_next <= $step_window_days
                then days_to_next
        end

),

-- Customers with a gap stand at the positions up_to - customers .. up_to - 1 of
-- their step, counted from 0 in order of the gap; those without one come last.
placed as (

    select
        *,

        sum(customers) over (
            partition by order_number
            order by gap_days nulls last
            rows between unbounded preceding and current row
        ) as up_to,
        sum(case when gap_days is not null then customers else 0 end) over (
            partition by order_number
        ) as converted_customers

    from gaps

),

-- The median lies halfway between the two middle positions, which are one if the
-- number of gaps is odd.
medians as (

    select
        order_number,

        sum(customers) as customers,
        sum(eligible_customers) as eligible_customers,
        max(converted_customers) as converted_customers,
        sum(
            case
                when up_to > (converted_customers - 1) / 2
                    and up_to - customers <= (converted_customers - 1) / 2
                    then gap_days
            end
        ) as lower_gap,
        sum(
            case
                when up_to > converted_customers / 2
                    and up_to - customers <= converted_customers / 2
                    then gap_days
            end
        ) as upper_gap

    from placed

    group by order_number

),

final as (

    select
        order_number,

        cast(customers as bigint) as customers,
        cast(eligible_customers as bigint) as eligible_customers,
        cast(converted_customers as bigint) as converted_customers,
        cast(converted_customers as double) / nullif(eligible_customers, 0)
            as conversion_rate,
        cast(lower_gap + upper_gap as double) / 2 as median_days_to_next

    from medians

)

select * from final
