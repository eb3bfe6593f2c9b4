-- facts.attribute_activity: what the customers won in a period through one channel,
-- store or campaign did in a later one.
--
-- grain   attribute, attribute_value, cohort_period, period
-- reads   facts.customer_periods, facts.customers, facts.moved_refunds
-- params  none
--
-- attribute         text           channel, store or campaign, of the customer's
--                                  first order
-- attribute_value   text           its value
-- cohort_period     bigint         the period of the customer's first order
-- period            bigint         one with a sale or a refund of such a customer
-- active_customers  bigint         those with an order in the period
-- orders            bigint         their orders, through whatever channel
-- revenue           decimal(18,2)  net of the refunds made in the period
-- order_revenue     decimal(18,2)  net of the orders of the period, whenever their
--                                  refunds came
--
-- Every attribute holds every customer once, but for those whose value is not
-- known: they stand in no row of it. Who is known from before is in no cohort.

with

customer_periods as (

    select
        customer_id,
        period,
        cohort_period,
        is_active,
        orders,
        revenue

    from facts.customer_periods

    where cohort_period is not null

),

moved_refunds as (

    select
        customer_id,
        cohort_period,
        period,
        moved

    from facts.moved_refunds

    where cohort_period is not null

),

customers as (

    select
        customer_id,
        first_channel,
        first_store,
        first_campaign

    from facts.customers

),

attributes as (

    select *

    from (values ('channel'), ('store'), ('campaign')) as names (attribute)

),

-- All three at once, so that customers are met once and what follows is small.
activity as (

    select
        customers.first_channel,
        customers.first_store,
        customers.first_campaign,
        customer_periods.cohort_period,
        customer_periods.period,

        count(case when customer_periods.is_active then 1 end)
            as active_customers,
        sum(customer_periods.orders) as orders,
        sum(customer_periods.revenue) as revenue

    from customer_periods

    inner join customers
        on customer_periods.customer_id = customers.customer_id

    group by
        customers.first_channel,
        customers.first_store,
        customers.first_campaign,
        customer_periods.cohort_period,
        customer_periods.period

),

moved as (

    select
        customers.first_channel,
        customers.first_store,
        customers.first_campaign,
        moved_refunds.cohort_period,
        moved_refunds.period,

        0 as active_customers,
        0 as orders,
        cast(0 as decimal(18,2)) as revenue,
        sum(moved_refunds.moved) as order_revenue

    from moved_refunds

    inner join customers
        on moved_refunds.customer_id = customers.customer_id

    group by
        customers.first_channel,
        customers.first_store,
        customers.first_campaign,
        moved_refunds.cohort_period,
        moved_refunds.period

),

parts as (

    select
        first_channel,
        first_store,
        first_campaign,
        cohort_period,
        period,
        active_customers,
        orders,
        revenue,
        revenue as order_revenue

    from activity

    union all

    select
        first_channel,
        first_store,
        first_campaign,
        cohort_period,
        period,
        active_customers,
        orders,
        revenue,
        order_revenue

    from moved

),

tall as (

    select
        attributes.attribute,
        case attributes.attribute
            when 'channel' then parts.first_channel
            when 'store' then parts.first_store
            else parts.first_campaign
        end as attribute_value,
        parts.cohort_period,
        parts.period,
        parts.active_customers,
        parts.orders,
        parts.revenue,
        parts.order_revenue

    from parts

    cross join attributes

),

final as (

    select
        attribute,
        attribute_value,
        cohort_period,
        period,

        cast(sum(active_customers) as bigint) as active_customers,
        cast(sum(orders) as bigint) as orders,
        cast(sum(revenue) as decimal(18,2)) as revenue,
        cast(sum(order_revenue) as decimal(18,2)) as order_revenue

    from tall

    where attribute_value is not null

    group by attribute, attribute_value, cohort_period, period

)

select * from final
