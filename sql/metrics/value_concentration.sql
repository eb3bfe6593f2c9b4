-- metrics.value_concentration: does a fifth of the customers bring four fifths of the
-- revenue?
--
-- grain   decile
-- reads   facts.customers
-- params  none
--
-- decile                     bigint         1: the tenth with the most revenue, ties
--                                           by customer_id
-- customers                  bigint         in the decile
-- revenue                    decimal(18,2)  their net, over all history
-- revenue_share              double         of all revenue; null if that is 0
-- lowest_revenue             decimal(18,2)  of one of them
-- highest_revenue            decimal(18,2)  of one of them
-- cumulative_customers       bigint         in the deciles up to this one
-- cumulative_customer_share  double         of all customers
-- cumulative_revenue         decimal(18,2)  their revenue
-- cumulative_share           double         of all revenue; may pass 1 before the end,
--                                           where refunds leave some below 0
--
-- The first k deciles hold k tenths of the customers, rounded up: with fewer than
-- ten, some deciles are left out.

with

customers as (

    select
        customer_id,
        net

    from facts.customers

),

totals as (

    select
        count(*) as customers,
        sum(net) as revenue

    from customers

),

ranked as (

    select
        net,

        cast(
            row_number() over (order by net desc, customer_id) as bigint
        ) as position

    from customers

),

placed as (

    select
        ranked.net,
        (ranked.position - 1) * 10 / totals.customers + 1 as decile

    from ranked

    cross join totals

),

deciles as (

    select
        decile,

        count(*) as customers,
        sum(net) as revenue,
        min(net) as lowest_revenue,
        max(net) as highest_revenue

    from placed

    group by decile

),

cumulated as (

    select
        *,

        sum(customers) over so_far as cumulative_customers,
        sum(revenue) over so_far as cumulative_revenue

    from deciles

    window so_far as (
        order by decile
        rows between unbounded preceding and current row
    )

),

final as (

    select
        cumulated.decile,

        cumulated.customers,
        cast(cumulated.revenue as decimal(18,2)) as revenue,
        cast(cumulated.revenue as double)
        / nullif(cast(totals.revenue as double), 0) as revenue_share,
        cumulated.lowest_revenue,
        cumulated.highest_revenue,
        cumulated.cumulative_customers,
        cast(cumulated.cumulative_customers as double)
        / totals.customers as cumulative_customer_share,
        cast(cumulated.cumulative_revenue as decimal(18,2))
            as cumulative_revenue,
        cast(cumulated.cumulative_revenue as double)
        / nullif(cast(totals.revenue as double), 0) as cumulative_share

    from cumulated

    cross join totals

)

select * from final
