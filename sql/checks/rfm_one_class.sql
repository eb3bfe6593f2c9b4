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
        customers.customer_id,
        'not in exactly one class' as problem

    from customers

    left join counted
        on customers.customer_id = counted.customer_id

    where counted.classes is null
        or counted.classes <> 1

),

strangers as (

    select
        counted.customer_id,
        'never bought' as problem

    from counted

    left anti join customers
        on counted.customer_id = customers.customer_id

),

final as (

    select * from unscored

    union all

    select * from miscounted

    union all

    select * from strangers

)

select * from final
