-- checks.active_periods_are_linked: every link to a next active period has one back.
--
-- reads   facts.customer_periods
-- params  none
--
-- A customer's active periods form a chain, so that in sum each period named as a
-- next one names its predecessor.

with

links as (

    select
        count(next_active_period) as forward_links,
        count(previous_active_period) as backward_links,
        coalesce(sum(next_active_period - period), 0) as forward_periods,
        coalesce(sum(period - previous_active_period), 0) as backward_periods

    from facts.customer_periods

    where is_active

)

select *

from links

where forward_links <> backward_links
    or forward_periods <> backward_periods
