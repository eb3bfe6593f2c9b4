-- checks.value_concentration_sums: the deciles hold all customers and revenue.
--
-- reads   facts.customers, metrics.value_concentration
-- params  none

with

customers as (

    select
        count(*) as customers,
        coalesce(sum(net), 0) as revenue

    from facts.customers

),

deciles as (

    select
        coalesce(sum(customers), 0) as customers,
        coalesce(sum(revenue), 0) as revenue

    from metrics.value_concentration

),

final as (

    select
        customers.customers,
        deciles.customers as customers_in_deciles,
        customers.revenue,
        deciles.revenue as revenue_in_deciles

    from customers

    cross join deciles

    where customers.customers <> deciles.customers
        or customers.revenue <> deciles.revenue

)

select * from final
