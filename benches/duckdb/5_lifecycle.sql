-- Where in their lives customers stand, and who went from where to where.
--
-- One purchase day so far: new in the period of the purchase, then lost. More: active
-- (vip, if the revenue of twelve months reaches the 95 % quantile of the active),
-- dormant for three idle periods, then lost. A period that is not over is no idle one:
-- who bought in the last complete one keeps the state, and is asked for vip again.

create temp table calendar as
select
    max(period) as last_period,
    max(case when is_complete then period end) as last_complete_period
from periods;

create temp table life as
with carried as (
    select
        last.customer_id,
        any_value(last_period) as period,
        any_value(last.period) as last_active_period,
        any_value(last.purchase_days_to_date) as purchase_days_to_date,
        any_value(last.revenue_of_year) as revenue_of_year_before,
        sum(months.revenue) as revenue_of_year
    from customer_periods as last
    cross join calendar
    join customer_periods as months
        on months.customer_id = last.customer_id
        and months.period > last_period - 12
    where last.period = last_complete_period
        and last.next_active_period is null
        and last_complete_period < last_period
    group by last.customer_id
),
placed as (
    select
        customer_id,
        period,
        period as active_period,
        purchase_days_to_date,
        previous_active_period as previous_period,
        purchase_days_to_date - purchase_days = 1 as was_new,
        case
            when next_active_period is not null then next_active_period
            when period = last_complete_period and last_complete_period < last_period
                then last_period
        end as next_period,
        revenue_of_year,
        revenue_of_year_before
    from customer_periods
    cross join calendar
    union all
    select
        customer_id,
        period,
        last_active_period,
        purchase_days_to_date,
        last_active_period,
        purchase_days_to_date = 1,
        null,
        revenue_of_year,
        revenue_of_year_before
    from carried
),
bounds as (
    select period, quantile_cont(revenue_of_year::double, 0.95) as bound
    from placed
    where purchase_days_to_date > 1
    group by period
),
judged as (
    select
        placed.*,
        case
            when purchase_days_to_date = 1 then 'new'
            when revenue_of_year >= bounds.bound then 'vip'
            else 'active'
        end as state,
        case
            when previous_period is null then 'none'
            when placed.period > previous_period + 4 then 'lost'
            when placed.period = previous_period + 1 then
                case
                    when was_new then 'new'
                    when revenue_of_year_before >= before.bound then 'vip'
                    else 'active'
                end
            when was_new then 'lost'
            else 'dormant'
        end as previous_state,
        case
            when next_period is not null then next_period - 1 - placed.period
            else greatest(last_complete_period - placed.period, 0)
        end as idle_periods
    from placed
    left join bounds on bounds.period = placed.period
    left join bounds as before on before.period = placed.period - 1
    cross join calendar
)
select
    customer_id,
    period,
    active_period,
    next_period is null as is_last,
    previous_state,
    state,
    idle_periods
from judged;

copy (
    with latest as (
        select
            customer_id,
            max(active_period) as last_active_period,
            max(case when is_last then period end) as last_purchase,
            max(case when is_last then state end) as last_state,
            max(case when is_last then previous_state end) as state_before_that,
            max(case when is_last then idle_periods end) as last_idle,
            -- The latest change of state on the way.
            max(
                case
                    when state = 'new' and idle_periods > 0 then period + 1
                    when idle_periods > 3 and state <> 'new' then period + 4
                    when idle_periods > 0 then period + 1
                    when state <> previous_state then period
                end
            ) as since_period
        from life
        group by customer_id
    ),
    stated as (
        select
            *,
            case
                when last_idle = 0 then last_state
                when last_state = 'new' or last_idle > 3 then 'lost'
                else 'dormant'
            end as state
        from latest
    )
    select
        customer_id,
        state,
        case
            when last_purchase = last_period then state_before_that
            when since_period < last_period then state
            when since_period = last_purchase + 1 then last_state
            else 'dormant'
        end as state_before,
        month_start(since_period) as since_date,
        last_active_period,
        month_start(last_active_period) as last_active_start,
        greatest(last_complete_period - last_active_period, 0) as idle_periods
    from stated
    cross join calendar
) to '{out}/metrics.lifecycle_states.parquet'
    (format parquet, compression zstd, compression_level 1);

-- Counted first, then followed through the idle periods: few rows.
create temp table transitions as
with paths as (
    select
        period, previous_state, state, idle_periods, is_last,
        count(*) as customers
    from life
    group by all
),
idle as (
    select
        *,
        unnest(range(1, idle_periods + 1)) as step
    from paths
),
steps as (
    select
        period,
        previous_state as from_state,
        state as to_state,
        customers
    from paths
    union all
    select
        period + step,
        case
            when step = 1 then state
            when state = 'new' or step > 4 then 'lost'
            else 'dormant'
        end,
        case when state = 'new' or step > 3 then 'lost' else 'dormant' end,
        customers
    from idle
    union all
    select
        last_period,
        case when state = 'new' or idle_periods > 3 then 'lost' else 'dormant' end
            as stays,
        stays,
        customers
    from paths
    cross join calendar
    where is_last
        and idle_periods > 0
        and last_complete_period < last_period
)
select period, from_state, to_state, sum(customers)::bigint as customers
from steps
group by period, from_state, to_state;

copy (
    select
        period,
        from_state,
        to_state,
        period_start,
        is_complete,
        customers
    from transitions
    join periods using (period)
) to '{out}/metrics.lifecycle_transitions.parquet'
    (format parquet, compression zstd, compression_level 1);

copy (
    with flows as (
        select
            period,
            sum(customers) as customers,
            sum(customers) filter (to_state = 'new') as new,
            sum(customers) filter (to_state = 'active') as active,
            sum(customers) filter (to_state = 'vip') as vip,
            sum(customers) filter (to_state = 'dormant') as dormant,
            sum(customers) filter (to_state = 'lost') as lost,
            sum(customers) filter (
                from_state in ('dormant', 'lost') and to_state in ('active', 'vip')
            ) as reactivated,
            sum(customers) filter (from_state = 'active' and to_state = 'vip')
                as active_turned_vip,
            sum(customers) filter (from_state = 'active' and to_state = 'dormant')
                as active_turned_dormant,
            sum(customers) filter (from_state = 'vip' and to_state = 'dormant')
                as vip_turned_dormant,
            sum(customers) filter (
                from_state not in ('none', 'lost') and to_state = 'lost'
            ) as turned_lost,
            sum(customers) filter (from_state not in ('none', 'lost'))
                as not_lost_before,
            sum(customers) filter (from_state in ('dormant', 'lost'))
                as gone_before
        from transitions
        group by period
    ),
    buyers as (
        select
            period,
            count(*) as buyers,
            count(case when period = cohort_period then 1 end) as first_buyers,
            count(case when previous_active_period = period - 1 then 1 end)
                as retained
        from customer_periods
        group by period
    ),
    lost as (
        select
            period + case when state = 'new' then 1 else 4 end as lost_period,
            count(
                case
                    when not is_last
                        and month_start(period + idle_periods + 1)
                        - last_day(month_start(lost_period)) <= 365
                        then 1
                end
            ) as returned
        from life
        where idle_periods >= case when state = 'new' then 1 else 4 end
        group by lost_period
    ),
    existing as (
        select
            month_of(order_date) as period,
            (sum(net)::double / count(*))::decimal(18, 2)
                as existing_average_order_value
        from orders
        where month_of(first_order_date) < month_of(order_date)
        group by all
    )
    select
        periods.period,
        period_start,
        is_complete,
        flows.customers::bigint as customers,
        coalesce(columns([
            'new', 'active', 'vip', 'dormant', 'lost', 'reactivated',
            'active_turned_vip', 'active_turned_dormant', 'vip_turned_dormant',
            'turned_lost'
        ]), 0)::bigint,
        case
            when date '{as_of}' - periods.period_end >= 365
                then coalesce(lost.returned, 0)
        end as lost_returned,
        existing_average_order_value,
        coalesce(buyers, 0) as buyers,
        coalesce(first_buyers, 0) as first_buyers,
        coalesce(retained, 0) as retained,
        coalesce(buyers - first_buyers - retained, 0) as resurrected,
        coalesce(lag(buyers) over (order by periods.period), 0) - coalesce(retained, 0)
            as lapsed,
        case
            when is_complete
                then coalesce(turned_lost, 0) / nullif(not_lost_before, 0)
        end as churn_rate,
        coalesce(reactivated, 0) / nullif(gone_before, 0) as win_back_rate
    from periods
    join flows using (period)
    left join buyers using (period)
    left join existing using (period)
    left join lost on lost.lost_period = periods.period
) to '{out}/metrics.lifecycle_summary.parquet'
    (format parquet, compression zstd, compression_level 1);
