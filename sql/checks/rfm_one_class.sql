-- checks.rfm_one_class: every customer has three scores from 1 to 5 and one RFM class.
--
-- reads   facts.customers, metrics.rfm_scores
-- params  none

with

customers as (

    select customer_id

    from facts.customers

),

scores as (

    select
        scope,
        customer_id,
        r_score,
        f_score,
        m_score,
        segment

    from metrics.rfm_scores

),

-- In any scope a row is one class; over all, everybody has exactly one row.
unscored as (

    select
        customer_id,
        'no score from 1 to 5, or no class' as problem

    from scores

    where r_score is null
        or f_score is null
        or m_score is null
        or segment is null
        or r_score not between 1 and 5
        or f_score not between 1 and 5
        or m_score not between 1 and 5

),

counted as (

    select
        customer_id,

        count(*) as classes

    from scores

    where scope = 'all'

    group by customer_id

),

miscounted as (

    select
        coalesce(customers.customer_id, counted.customer_id) as customer_id,
        case
            when customers.customer_id is null then 'never bought'
            else 'not in exactly one class'
        end as problem

    from customers

    full join counted
        on customers.customer_id = counted.customer_id

    where customers.customer_id is null
        or counted.classes is null
        or counted.classes <> 1

),

final as (

    select * from unscored

    union all

    select * from miscounted

)

select * from final
