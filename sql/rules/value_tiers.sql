-- rules.value_tiers: where do a customer's value and risk put the effort?
--
-- grain   current_high, potential_high, risk_high
-- reads   none
-- params  none
-- rule    cells current_high in (false, true), potential_high in (false, true), risk_high in (false, true)
--
-- current_high    boolean  current value at or above the median, and above 0
-- potential_high  boolean  potential value at or above the median, and above 0
-- risk_high       boolean  about to be lost, or lost
-- clv_tier        text     high, growing, watch or low
-- action          text     what to do
--
-- First match: current high at high risk is watched; both high is high; potential
-- alone grows; current alone is watched; the rest is low.

with

rules as (

    select *

    from (
        values
            (
                true, true, true,
                'watch', 'call now: much to lose, and it is going'
            ),
            (
                true, false, true,
                'watch', 'call now: much to lose, and it is going'
            ),
            (
                true, true, false,
                'high', 'invest: personal service, privileges, referrals'
            ),
            (
                false, true, true,
                'growing', 'develop: show what else there is'
            ),
            (
                false, true, false,
                'growing', 'develop: show what else there is'
            ),
            (
                true, false, false,
                'watch', 'keep: steady care, watch the rhythm'
            ),
            (
                false, false, true,
                'low', 'serve at low cost'
            ),
            (
                false, false, false,
                'low', 'serve at low cost'
            )
    ) as rules (
        current_high, potential_high, risk_high,
        clv_tier, action
    )

)

select * from rules
