-- checks.gaps_add_up: every order but a customer's first closes a gap, and every
-- purchase day but the first does.
--
-- reads   metrics.repurchase_cycle, facts.customers
-- params  none

with

expected as (

    select
        coalesce(sum(orders - 1), 0) as order_gaps,
        coalesce(sum(purchase_days - 1), 0) as day_gaps

    from facts.customers

)

select
    cycle.basis,
    cycle.gaps,
    case cycle.basis
        when 'order' then expected.order_gaps
        else expected.day_gaps
    end as expected_gaps

from metrics.repurchase_cycle as cycle

cross join expected

where cycle.gaps <> case cycle.basis
        when 'order' then expected.order_gaps
        else expected.day_gaps
    end
