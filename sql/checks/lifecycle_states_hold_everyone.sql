-- checks.lifecycle_states_hold_everyone: as many states as customers.
--
-- reads   metrics.lifecycle_states, facts.customers
-- params  none

with

states as (

    select
        count(*) as customers

    from metrics.lifecycle_states

),

customers as (

    select
        count(*) as customers

    from facts.customers

)

select
    states.customers as customers_with_a_state,
    customers.customers

from states

cross join customers

where states.customers <> customers.customers
