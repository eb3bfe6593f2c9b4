-- facts.lifecycle_rules: rules.lifecycle, with the active state taken apart into
-- single periods.
--
-- grain   purchase_class, state, at_least, is_prolonging
-- reads   rules.lifecycle, facts.lifecycle_periods
-- params  none
--
-- purchase_class  text     one: a single purchase day so far; repeat: two or more;
--                          none: a period with nothing but refunds
-- state           text     new, active, dormant or lost; none for the class none
-- at_least        bigint   idle periods from which it holds
-- is_prolonging   boolean  for the period that $as_of cuts short: it is no idle one,
--                          so who was active stays so
-- below           bigint   idle periods from which it no longer does; null: never
--
-- The VIP rule is asked every period, so each period of the active stands alone.

with

rules as (

    select
        purchase_class,
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
        rules.purchase_class,
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
        split.purchase_class,
        split.state,
        split.at_least,
        kinds.is_prolonging,

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
        purchase_class,
        state,
        at_least,
        is_prolonging,

        below

    from states

    union all

    select
        'none' as purchase_class,
        'none' as state,
        0 as at_least,
        false as is_prolonging,

        null as below

)

select * from final
