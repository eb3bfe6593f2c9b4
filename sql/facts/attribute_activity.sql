-- facts.attribute_activity: what the customers won in a period through one channel,
-- store or campaign did in a later one.
--
-- grain   attribute, attribute_value, cohort_period, period
-- reads   facts.customer_periods, facts.customers
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
--
-- Every attribute holds every customer once, but for those whose value is not
-- known: they stand in no row of it.

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

tall as (

    select
        attributes.attribute,
        case attributes.attribute
            when 'channel' then activity.first_channel
            when 'store' then activity.first_store
            else activity.first_campaign
        end as attribute_value,
        activity.cohort_period,
        activity.period,
        activity.active_customers,
        activity.orders,
        activity.revenue

    from activity

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
        cast(sum(revenue) as decimal(18,2)) as revenue

    from tall

    where attribute_value is not null

    group by attribute, attribute_value, cohort_period, period

)

select * from final
