-- metrics.lifecycle_summary: how many customers are won, kept, lost and won back?
--
-- grain   period
-- reads   facts.lifecycle_periods, metrics.lifecycle_transitions, facts.orders,
--         facts.customers, metrics.lifecycle_paths, metrics.lifecycle_spans,
--         facts.lifecycle_rules, facts.lifecycle_days
-- params  as_of
--
-- period                        bigint         as in facts.lifecycle_periods
-- period_start                  date           first day
-- is_complete                   boolean        $as_of does not cut it short
-- prospects                     bigint         unconverted leads in stock; null while
--                                              no leads are read
-- customers                     bigint         everyone who ever bought, at the end;
--                                              the sum of the next five
-- new                           bigint         in that state at the end
-- active                        bigint         in that state, VIPs not included
-- vip                           bigint         in that state
-- dormant                       bigint         in that state
-- lost                          bigint         in that state
-- reactivated                   bigint         from dormant or lost to active or vip
-- active_turned_vip             bigint         from active to vip
-- active_turned_dormant         bigint         from active to dormant
-- vip_turned_dormant            bigint         from vip to dormant
-- turned_lost                   bigint         from another state to lost
-- lost_returned                 bigint         those of them who bought again in a period
--                                              that begins within 365 days of the end of
--                                              this one; null until so many days have
--                                              passed
-- existing_average_order_value  decimal(18,2)  net per order of those who bought before
--                                              the period; null without any
-- buyers                        bigint         customers with a purchase
-- first_buyers                  bigint         those whose first it was, ever
-- retained                      bigint         those who bought in the period before
-- resurrected                   bigint         the other buyers
-- lapsed                        bigint         bought in the period before, not in this
--                                              one; so far, if not is_complete
-- churn_rate                    double         turned_lost / not lost at the end of the
--                                              period before; null if nobody, or if not
--                                              is_complete: nobody can be lost to a
--                                              period that is not over
-- win_back_rate                 double         reactivated / dormant or lost at the end
--                                              of the period before; null if nobody; so
--                                              far, if not is_complete
-- conversion_rate               double         leads that bought within
--                                              $lead_window_days; null while no leads
--                                              are read
--
-- Dense: every period since the first sale. A state is one of the automaton of
-- rules.lifecycle; the product view, from buyers to lapsed, only asks who bought
-- in this period and the one before.

with

periods as (

    select
        period,
        period_start,
        period_end,
        is_complete

    from facts.lifecycle_periods

),

transitions as (

    select
        period,
        from_state,
        to_state,
        customers

    from metrics.lifecycle_transitions

),

paths as (

    select
        period,
        rung,
        previous_period,
        previous_rung,
        customers

    from metrics.lifecycle_paths

),

spans as (

    select
        start_period,
        next_period,
        state,
        customers

    from metrics.lifecycle_spans

),

days as (

    select
        day_date,
        period,
        period_start

    from facts.lifecycle_days

),

rungs as (

    select
        rung,
        is_purchase

    from facts.lifecycle_rules

    where first_step = 0

),

orders as (

    select
        order_date,
        first_order_date,
        is_known_before,
        net

    from facts.orders

),

known_before as (

    select first_order_date

    from facts.customers

    where is_known_before

),

flows as (

    select
        period,

        sum(customers) as customers,
        sum(case when to_state = 'new' then customers else 0 end) as new,
        sum(case when to_state = 'active' then customers else 0 end) as active,
        sum(case when to_state = 'vip' then customers else 0 end) as vip,
        sum(case when to_state = 'dormant' then customers else 0 end)
            as dormant,
        sum(case when to_state = 'lost' then customers else 0 end) as lost,
        sum(
            case
                when from_state in ('dormant', 'lost')
                    and to_state in ('active', 'vip')
                    then customers
                else 0
            end
        ) as reactivated,
        sum(
            case
                when from_state = 'active' and to_state = 'vip' then customers
                else 0
            end
        ) as active_turned_vip,
        sum(
            case
                when from_state = 'active' and to_state = 'dormant'
                    then customers
                else 0
            end
        ) as active_turned_dormant,
        sum(
            case
                when from_state = 'vip' and to_state = 'dormant' then customers
                else 0
            end
        ) as vip_turned_dormant,
        sum(
            case
                when from_state not in ('none', 'lost') and to_state = 'lost'
                    then customers
                else 0
            end
        ) as turned_lost,
        sum(
            case
                when from_state not in ('none', 'lost') then customers
                else 0
            end
        ) as not_lost_before,
        sum(
            case
                when from_state in ('dormant', 'lost') then customers
                else 0
            end
        ) as gone_before

    from transitions

    group by period

),

-- Who bought in the period before comes from the moment of that purchase.
buyers as (

    select
        paths.period,

        sum(paths.customers) as buyers,
        sum(case when paths.previous_rung = 0 then paths.customers else 0 end)
            as first_buyers,
        sum(
            case
                when previous_rungs.is_purchase
                    and paths.previous_period = paths.period - 1
                    then paths.customers
                else 0
            end
        ) as retained

    from paths

    inner join rungs
        on paths.rung = rungs.rung
        and rungs.is_purchase

    inner join rungs as previous_rungs
        on paths.previous_rung = previous_rungs.rung

    group by paths.period

),

-- Whoever is lost stays so until a purchase.
returned as (

    select
        periods.period,

        sum(
            case
                when next_periods.period_start - periods.period_end <= 365
                    then spans.customers
            end
        ) as customers

    from spans

    inner join periods
        on spans.start_period = periods.period

    inner join periods as next_periods
        on spans.next_period = next_periods.period

    where spans.state = 'lost'

    group by periods.period

),

existing_orders as (

    select
        days.period,

        count(*) as orders,
        sum(orders.net) as net

    from days

    inner join orders
        on days.day_date = orders.order_date
        and (
            days.period_start > orders.first_order_date
            or orders.is_known_before
        )

    group by days.period

),

-- Who is known from before appears, too, and is no first buyer.
appeared as (

    select
        days.period,

        count(*) as customers

    from days

    inner join known_before
        on days.day_date = known_before.first_order_date

    group by days.period

),

product_view as (

    select
        periods.period,

        coalesce(buyers.buyers, 0) as buyers,
        coalesce(buyers.first_buyers, 0) - coalesce(appeared.customers, 0)
            as first_buyers,
        coalesce(buyers.retained, 0) as retained,
        coalesce(lag(buyers.buyers) over (order by periods.period), 0)
            as buyers_before

    from periods

    left join buyers
        on periods.period = buyers.period

    left join appeared
        on periods.period = appeared.period

),

final as (

    select
        periods.period,

        periods.period_start,
        periods.is_complete,
        cast(null as bigint) as prospects,
        flows.customers,
        flows.new,
        flows.active,
        flows.vip,
        flows.dormant,
        flows.lost,
        flows.reactivated,
        flows.active_turned_vip,
        flows.active_turned_dormant,
        flows.vip_turned_dormant,
        flows.turned_lost,
        case
            when $as_of - periods.period_end >= 365
                then coalesce(returned.customers, 0)
        end as lost_returned,
        cast(existing_orders.net / existing_orders.orders as decimal(18,2))
            as existing_average_order_value,
        product_view.buyers,
        product_view.first_buyers,
        product_view.retained,
        product_view.buyers - product_view.first_buyers
        - product_view.retained as resurrected,
        product_view.buyers_before - product_view.retained as lapsed,
        case
            when periods.is_complete then
                cast(flows.turned_lost as double)
                / nullif(flows.not_lost_before, 0)
        end as churn_rate,
        cast(flows.reactivated as double)
        / nullif(flows.gone_before, 0) as win_back_rate,
        cast(null as double) as conversion_rate

    from periods

    inner join flows
        on periods.period = flows.period

    inner join product_view
        on periods.period = product_view.period

    left join returned
        on periods.period = returned.period

    left join existing_orders
        on periods.period = existing_orders.period

)

select * from final
