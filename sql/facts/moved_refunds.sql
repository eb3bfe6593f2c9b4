-- facts.moved_refunds: refunds that were made in another period than their sale.
--
-- grain   customer_id, period
-- reads   facts.customer_days, facts.orders, facts.cohort_days
-- params  none
--
-- customer_id    id             who
-- period         bigint         of $cohort_grain, as in facts.periods
-- cohort_period  bigint         the period of the customer's first order; null if known
--                               from before
-- moved          decimal(18,2)  refunds made in the period, less those of its sales:
--                               what its orders brought beyond what was booked in it
--
-- Over all periods of a customer they sum to 0. Only customers with refunds are rows.

with

refunds as (

    select
        customer_id,
        order_date,
        first_order_date,
        is_known_before,
        refunds as moved

    from facts.customer_days

    where refunds <> 0

    union all

    select
        customer_id,
        order_date,
        first_order_date,
        is_known_before,
        -refunded as moved

    from facts.orders

    where refunded <> 0

),

days as (

    select
        day_date,
        period

    from facts.cohort_days

),

placed as (

    select
        refunds.customer_id,
        days.period,
        case when not refunds.is_known_before then first_days.period end
            as cohort_period,
        refunds.moved

    from refunds

    inner join days
        on refunds.order_date = days.day_date

    inner join days as first_days
        on refunds.first_order_date = first_days.day_date

),

final as (

    select
        customer_id,
        period,

        max(cohort_period) as cohort_period,
        cast(sum(moved) as decimal(18,2)) as moved

    from placed

    group by customer_id, period

    having sum(moved) <> 0

)

select * from final
