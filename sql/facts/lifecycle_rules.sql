-- facts.lifecycle_rules: rules.lifecycle, with the active state taken apart into
-- single periods.
--
-- grain   purchase_days, state, at_least, is_prolonging
-- reads   rules.lifecycle, facts.lifecycle_periods
-- params  none
--
-- purchase_days  bigint   days with a purchase so far; 2 stands for more, too, and
--                         0 for a period with nothing but refunds
-- state          text     new, active, dormant or lost; none for 0 days
-- at_least       bigint   idle periods from which it holds
-- is_prolonging  boolean  for the period that $as_of cuts short: it is no idle one,
--                         so who was active stays so
-- is_single      boolean  holds for one period, then asks again
-- below          bigint   idle periods from which it no longer does; null: never
--
-- The VIP rule is asked every period, so each period of the active stands alone.

with

rules as (

    select
        case purchase_class when 'one' then 1 else 2 end as purchase_days,
        state,
        greatest(coalesce(at_least, 0), 0) as at_least,
        below

    from rules.lifecycle

),

-- Nobody is idle for more periods than there are.
calendar as (

    select
        count(*) as periods

    from facts.lifecycle_periods

),

split as (

    select
        rules.purchase_days,
        rules.state,
        rules.below,
        unnest(
            case
                when rules.state = 'active' then
                    range(
                        rules.at_least,
                        least(
                            coalesce(rules.below, calendar.periods),
                            calendar.periods
                        )
                    )
                else make_array(rules.at_least)
            end
        ) as at_least

    from rules

    cross join calendar

),

kinds as (

    select
        unnest(make_array(false, true)) as is_prolonging

),

states as (

    select
        split.purchase_days,
        split.state,
        split.at_least,
        kinds.is_prolonging,

        split.state = 'active' as is_single,
        case
            when split.state = 'active' then split.at_least + 1
            else split.below
        end as below

    from split

    inner join kinds
        on not kinds.is_prolonging
        or split.state = 'active'

),

-- Of a period without a purchase nothing follows but its money.
final as (

    select
        purchase_days,
        state,
        at_least,
        is_prolonging,

        is_single,
        below

    from states

    union all

    select
        0 as purchase_days,
        'none' as state,
        0 as at_least,
        false as is_prolonging,

        false as is_single,
        null as below

)

select * from final
