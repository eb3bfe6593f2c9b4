-- rules.lifecycle: which state does a customer have after how many idle periods?
--
-- grain   purchase_class, state
-- reads   none
-- params  new_periods, dormant_after_periods, lost_after_periods
-- rule    ranges purchase_class in (one, repeat): at_least <= idle_periods < below;
--         state in (new, active, dormant, lost)
--
-- purchase_class  text    one: a single purchase day so far; repeat: two or more
-- state           text    new, active, dormant or lost
-- at_least        bigint  idle periods from which it holds; null: however few
-- below           bigint  idle periods from which it no longer does; null: never
--
-- An idle period is a complete one of $lifecycle_grain without a purchase since
-- the last with one. Of the active, those the VIP rule holds for are vip: see
-- metrics.lifecycle_vip. Any purchase starts again at the top.

with

rules as (

    select *

    from (
        values
            ('one', 'new', null, $new_periods),
            ('one', 'lost', $new_periods, null),

            ('repeat', 'active', null, $dormant_after_periods),
            (
                'repeat', 'dormant', $dormant_after_periods,
                $dormant_after_periods + $lost_after_periods
            ),
            (
                'repeat', 'lost',
                $dormant_after_periods + $lost_after_periods, null
            )
    ) as rules (purchase_class, state, at_least, below)

)

select * from rules
