-- checks.value_one_tier: every customer has one tier, and a value that adds up.
--
-- reads   facts.customers, metrics.customer_value
-- params  none

with

customers as (

    select
        customer_id,
        net

    from facts.customers

),

values_now as (

    select
        customer_id,
        historical_revenue,
        historical_value,
        current_value,
        potential_value,
        clv,
        clv_tier

    from metrics.customer_value

),

final as (

    select
        customers.customer_id,
        customers.net,
        values_now.historical_revenue,
        values_now.clv,
        values_now.clv_tier

    from customers

    full join values_now
        on customers.customer_id = values_now.customer_id

    where customers.customer_id is null
        or values_now.clv_tier is null
        or values_now.historical_revenue <> customers.net
        or values_now.clv
        <> values_now.historical_value
        + values_now.current_value
        + values_now.potential_value

)

select * from final
