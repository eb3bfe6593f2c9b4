-- facts.lifecycle_rules: rules.lifecycle, told from the moments at which the state is
-- asked for: what holds then, and what follows?
--
-- grain   rung, first_step
-- reads   rules.lifecycle, facts.lifecycle_periods
-- params  none
--
-- rung            bigint   number of the kind of moment; 0: no customer yet, or a
--                          period with nothing but refunds
-- first_step      bigint   periods after the moment from which the state holds
-- purchase_days   bigint   days with a purchase so far; 2 stands for more, too
-- idle_periods    bigint   idle periods at the moment; 0: the period of a purchase
-- is_prolonging   boolean  for the period that $as_of cuts short: it is no idle one, so
--                          who was active stays so
-- is_purchase     boolean  the moment of a purchase
-- last_step       bigint   and up to which
-- state           text     new, active, dormant or lost; none for rung 0
-- previous_state  text     at the step before first_step; null for the moment
-- since_step      bigint   from which the state holds without a break; 0: from the
--                          moment on, or longer
--
-- The VIP rule is asked every period, so each period of the active is a moment.
-- The other states follow from the last moment and the periods since.

with

-- Nobody is idle for more periods than there are.
calendar as (

    select
        count(*) as periods

    from facts.lifecycle_periods

),

rules as (

    select
        case rules.purchase_class when 'one' then 1 else 2 end
            as purchase_days,
        rules.state,
        greatest(coalesce(rules.at_least, 0), 0) as at_least,
        least(coalesce(rules.below, calendar.periods), calendar.periods)
            as below

    from rules.lifecycle as rules

    cross join calendar

),

-- The purchase, whatever its state, and each idle period of the active.
moments as (

    select
        purchase_days,
        state,
        unnest(
            range(
                at_least,
                case
                    when state = 'active' then below
                    when at_least = 0 then 1
                    else at_least
                end
            )
        ) as idle_periods

    from rules

),

kinds as (

    select
        unnest(make_array(false, true)) as is_prolonging

),

rungs as (

    select
        moments.purchase_days,
        moments.idle_periods,
        kinds.is_prolonging,

        cast(
            row_number() over (
                order by
                    moments.purchase_days,
                    moments.idle_periods,
                    kinds.is_prolonging
            ) as bigint
        ) as rung,
        coalesce(
            lead(moments.idle_periods) over (
                partition by moments.purchase_days, kinds.is_prolonging
                order by moments.idle_periods
            ) - moments.idle_periods,
            calendar.periods
        ) as steps

    from moments

    cross join calendar

    inner join kinds
        on not kinds.is_prolonging
        or moments.state = 'active'

),

-- The rules that hold from a moment up to the next one; after the period that $as_of
-- cuts short comes nothing.
ruled as (

    select
        rungs.rung,
        rungs.purchase_days,
        rungs.idle_periods,
        rungs.is_prolonging,
        greatest(rules.at_least - rungs.idle_periods, 0) as first_step,
        least(
            rules.below - rungs.idle_periods,
            case when rungs.is_prolonging then 1 else rungs.steps end
        ) - 1 as last_step,
        rules.state

    from rungs

    inner join rules
        on rungs.purchase_days = rules.purchase_days

),

runs as (

    select
        *,

        lag(state) over (partition by rung order by first_step)
            as previous_state

    from ruled

    where first_step <= last_step

),

final as (

    select
        rung,
        first_step,

        purchase_days,
        idle_periods,
        is_prolonging,
        idle_periods = 0 and not is_prolonging as is_purchase,
        last_step,
        state,
        previous_state,
        max(case when state <> previous_state then first_step else 0 end) over (
            partition by rung
            order by first_step
            rows between unbounded preceding and current row
        ) as since_step

    from runs

    union all

    select
        0 as rung,
        0 as first_step,

        0 as purchase_days,
        0 as idle_periods,
        false as is_prolonging,
        false as is_purchase,
        0 as last_step,
        'none' as state,
        null as previous_state,
        0 as since_step

)

select * from final
