-- facts.rfm_measures: recency, frequency and revenue of every customer, twice.
--
-- grain   snapshot, scope, scope_value, customer_id
-- reads   facts.customer_days, facts.customers, staging.orders
-- params  as_of, compare_days, rfm_frequency, rfm_method, rfm_scope, rfm_window_days
--
-- snapshot         text           now: as of $as_of; before: $compare_days earlier
-- scope            text           all; and $rfm_scope, where that is another
-- scope_value      text           all; else the channel or store
-- customer_id      id             someone who had bought by the day of the snapshot
-- recency_days     bigint         from the last purchase day to the snapshot's, over
--                                 all history
-- purchase_days    bigint         days with a purchase in the window
-- orders           bigint         purchases in the window
-- frequency        bigint         what is scored: by $rfm_frequency purchase_days or
--                                 orders; auto: orders for quantile_r, as that
--                                 package counts, purchase_days for the others
-- monetary         decimal(18,2)  net of the window; 0 without a purchase in it
-- monetary_bucket  bigint         the root of its cents, rounded towards 0, with its
--                                 sign: never lower for more
--
-- The window is the $rfm_window_days up to the snapshot, its own day included;
-- null: all history. Refunds count on their day, in the channel or store of the
-- sale they belong to: the one they name, else the latest. What was bought where is not known counts under all only.
-- The earlier snapshot comes from the history, which shows
-- later corrections too, not from an earlier run.

with

customer_days as (

    select
        customer_id,
        order_date,
        is_purchase_day,
        orders,
        net

    from facts.customer_days

),

customers as (

    select
        customer_id,
        first_order_date,
        case
            when $rfm_scope = 'channel' then first_channel
            else first_store
        end as first_scope_value

    from facts.customers

    where $rfm_scope <> 'all'

),

placed_orders as (

    select
        customer_id,
        ordered_at,
        order_rank,
        order_id,
        order_date,
        is_refund,
        net,
        -- '' is a sale made nobody knows where.
        case
            when is_refund then null
            when $rfm_scope = 'channel' then coalesce(channel, '')
            else coalesce(store, '')
        end as place,
        -- A refund that names its sale has the channel and store of the sale.
        case
            when refund_of is null then null
            when $rfm_scope = 'channel' then coalesce(channel, '')
            else coalesce(store, '')
        end as named_place

    from staging.orders

    where $rfm_scope <> 'all'

),

-- Any other refund goes where the customer's latest sale went.
scoped_orders as (

    select
        customer_id,
        order_date,
        is_refund,
        net,
        coalesce(
            place,
            named_place,
            lag(place) ignore nulls over (
                partition by customer_id
                order by ordered_at, is_refund, order_rank, order_id
            )
        ) as scope_value

    from placed_orders

),

-- Refunds before the first sale count with it, as in facts.customer_days.
booked_orders as (

    select
        scoped_orders.customer_id,
        scoped_orders.is_refund,
        scoped_orders.net,
        coalesce(scoped_orders.scope_value, customers.first_scope_value)
            as scope_value,
        greatest(scoped_orders.order_date, customers.first_order_date)
            as order_date

    from scoped_orders

    inner join customers
        on scoped_orders.customer_id = customers.customer_id

),

scoped_days as (

    select
        customer_id,
        scope_value,
        order_date,

        count(case when not is_refund then 1 end) as orders,
        sum(net) as net

    from booked_orders

    where scope_value <> ''

    group by customer_id, scope_value, order_date

),

days as (

    select
        customer_id,
        'all' as scope,
        'all' as scope_value,
        $as_of - order_date as age_days,
        is_purchase_day,
        orders,
        net

    from customer_days

    union all

    select
        customer_id,
        $rfm_scope as scope,
        scope_value,
        $as_of - order_date as age_days,
        orders > 0 as is_purchase_day,
        orders,
        net

    from scoped_days

),

windowed as (

    select
        *,
        age_days >= $compare_days as is_before,
        $rfm_window_days is null
        or age_days < $rfm_window_days as in_window,
        age_days >= $compare_days
        and (
            $rfm_window_days is null
            or age_days < $rfm_window_days + $compare_days
        ) as in_window_before

    from days

),

-- Both snapshots in one pass over the days.
measured as (

    select
        customer_id,
        scope,
        scope_value,

        min(case when is_purchase_day then age_days end) as recency_days,
        count(case when is_purchase_day and in_window then 1 end)
            as purchase_days,
        sum(case when in_window then orders else 0 end) as orders,
        sum(case when in_window then net else 0 end) as net,

        min(case when is_purchase_day and is_before then age_days end)
            as age_days_before,
        count(case when is_purchase_day and in_window_before then 1 end)
            as purchase_days_before,
        sum(case when in_window_before then orders else 0 end)
            as orders_before,
        sum(case when in_window_before then net else 0 end) as net_before

    from windowed

    group by customer_id, scope, scope_value

),

snapshots as (

    select
        unnest(make_array('now', 'before')) as snapshot

),

-- A join without keys holds its first table in memory: the snapshots, not the
-- customers.
taken as (

    select
        snapshots.snapshot,
        measured.customer_id,
        measured.scope,
        measured.scope_value,

        case
            when snapshots.snapshot = 'now' then measured.recency_days
            else measured.age_days_before - $compare_days
        end as recency_days,
        case
            when snapshots.snapshot = 'now' then measured.purchase_days
            else measured.purchase_days_before
        end as purchase_days,
        case
            when snapshots.snapshot = 'now' then measured.orders
            else measured.orders_before
        end as orders,
        case
            when snapshots.snapshot = 'now' then measured.net
            else measured.net_before
        end as net

    from snapshots

    cross join measured

),

scored as (

    select
        *,
        case
            when $rfm_frequency = 'orders'
                or ($rfm_frequency = 'auto' and $rfm_method = 'quantile_r')
                then orders
            else purchase_days
        end as frequency,
        cast(
            case when purchase_days > 0 then net else 0 end as decimal(18,2)
        ) as monetary

    from taken

    where recency_days is not null

),

final as (

    select
        snapshot,
        scope,
        scope_value,
        customer_id,

        recency_days,
        purchase_days,
        orders,
        frequency,
        monetary,
        -- Roots are exact to the last bit, so that no higher value is lower here.
        cast(
            signum(cast(monetary as double))
            * floor(10 * sqrt(abs(cast(monetary as double))))
            as bigint
        ) as monetary_bucket

    from scored

)

select * from final
