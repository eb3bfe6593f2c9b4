-- checks.attribute_cohorts_add_up: an attribute holds every customer who has it once,
-- with all their money.
--
-- reads   metrics.cohort_retention_by_attribute, facts.customers
-- params  none

with

cohorts as (

    select
        attribute,

        sum(case when period_index = 0 then cohort_customers else 0 end)
            as customers,
        sum(revenue) as revenue,
        sum(order_revenue) as order_revenue

    from metrics.cohort_retention_by_attribute

    group by attribute

),

attributes as (

    select *

    from (values ('channel'), ('store'), ('campaign')) as names (attribute)

),

tall as (

    select
        attributes.attribute,
        case attributes.attribute
            when 'channel' then customers.first_channel
            when 'store' then customers.first_store
            else customers.first_campaign
        end as attribute_value,
        customers.net

    from facts.customers as customers

    cross join attributes

    where not customers.is_known_before

),

expected as (

    select
        attribute,

        count(*) as customers,
        sum(net) as revenue

    from tall

    where attribute_value is not null

    group by attribute

)

select
    coalesce(cohorts.attribute, expected.attribute) as attribute,
    cohorts.customers as cohort_customers,
    expected.customers,
    cohorts.revenue as cohort_revenue,
    cohorts.order_revenue as cohort_order_revenue,
    expected.revenue

from cohorts

full join expected
    on cohorts.attribute = expected.attribute

where (cohorts.customers is distinct from expected.customers)
    or (cohorts.revenue is distinct from expected.revenue)
    or (cohorts.order_revenue is distinct from expected.revenue)
