-- facts.known_before: whose first order is not in the history, because they were
-- customers before it begins.
--
-- grain   customer_id
-- reads   staging.earlier_customers, facts.history_bounds
-- uses    sources.customers
-- params  none
--
-- customer_id  id  who bought before $history_start in the same files, or was
--                  acquired before the first day of the files
--
-- They are in no cohort, and none of their orders is a first order: they count as
-- returning, and with one order as repeat customers. In every reconciliation by
-- cohort they are a line of their own.

with

earlier_customers as (

    select customer_id

    from staging.earlier_customers

    where orders > 0

),

profiles as (

    select
        customer_id,
        acquired_at

    from sources.customers

),

bounds as (

    select first_file_date

    from facts.history_bounds

),

final as (

    select customer_id

    from earlier_customers

    union

    select profiles.customer_id

    from bounds

    inner join profiles
        on bounds.first_file_date > profiles.acquired_at

)

select * from final
