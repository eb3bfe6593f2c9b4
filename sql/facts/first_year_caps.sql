-- facts.first_year_caps: from where on is the year after a first purchase that of a
-- giant?
--
-- grain   scope, scope_value
-- reads   facts.customer_margins
-- params  none
--
-- scope        text            all or channel
-- scope_value  text            all, or the acquisition channel
-- revenue_cap  decimal(30,12)  the 95 % quantile (type 7) of what the days 1 to 365
--                              after the first one brought, over the customers who were
--                              observed for them and are not known from before
-- margin_cap   decimal(30,12)  the same of its margin
--
-- A quantile of doubles says where to look; the two amounts about it, and how many are
-- below, give the exact one.

with

customers as (

    select
        acquisition_channel,
        cast(return_revenue as decimal(26,8)) as revenue,
        return_margin as margin,
        cast(return_revenue as double) as revenue_double,
        cast(return_margin as double) as margin_double

    from facts.customer_margins

    where tenure_days >= 365
        and not is_known_before

),

near_all as (

    select
        percentile_cont(0.95) within group (order by revenue_double) as revenue,
        percentile_cont(0.95) within group (order by margin_double) as margin

    from customers

),

near_channels as (

    select
        acquisition_channel,

        percentile_cont(0.95) within group (order by revenue_double) as revenue,
        percentile_cont(0.95) within group (order by margin_double) as margin

    from customers

    group by acquisition_channel

),

near as (

    select
        near_channels.acquisition_channel,
        near_channels.revenue as revenue_of_channel,
        near_channels.margin as margin_of_channel,
        near_all.revenue as revenue_of_all,
        near_all.margin as margin_of_all

    from near_channels

    cross join near_all

),

compared as (

    select
        customers.acquisition_channel,
        customers.revenue,
        customers.margin,
        customers.revenue_double <= near.revenue_of_channel as is_low_revenue,
        customers.margin_double <= near.margin_of_channel as is_low_margin,
        customers.revenue_double <= near.revenue_of_all as is_low_revenue_of_all,
        customers.margin_double <= near.margin_of_all as is_low_margin_of_all

    from near

    inner join customers
        on near.acquisition_channel = customers.acquisition_channel

),

-- The highest amount up to there, the lowest above, and how many are up to there.
counted as (

    select
        acquisition_channel,

        count(*) as customers,
        count(case when is_low_revenue then 1 end) as low_revenues,
        max(case when is_low_revenue then revenue end) as low_revenue,
        min(case when not is_low_revenue then revenue end) as high_revenue,
        count(case when is_low_margin then 1 end) as low_margins,
        max(case when is_low_margin then margin end) as low_margin,
        min(case when not is_low_margin then margin end) as high_margin,
        count(case when is_low_revenue_of_all then 1 end) as low_revenues_of_all,
        max(case when is_low_revenue_of_all then revenue end)
            as low_revenue_of_all,
        min(case when not is_low_revenue_of_all then revenue end)
            as high_revenue_of_all,
        count(case when is_low_margin_of_all then 1 end) as low_margins_of_all,
        max(case when is_low_margin_of_all then margin end) as low_margin_of_all,
        min(case when not is_low_margin_of_all then margin end)
            as high_margin_of_all

    from compared

    group by acquisition_channel

),

kinds as (

    select *

    from (
        values
            ('channel', 'revenue'),
            ('channel', 'margin'),
            ('all', 'revenue'),
            ('all', 'margin')
    ) as names (scope, measure)

),

tall as (

    select
        kinds.scope,
        case kinds.scope
            when 'all' then 'all'
            else counted.acquisition_channel
        end as scope_value,
        kinds.measure,
        counted.customers,
        case
            when kinds.scope = 'all' and kinds.measure = 'revenue'
                then counted.low_revenues_of_all
            when kinds.scope = 'all' then counted.low_margins_of_all
            when kinds.measure = 'revenue' then counted.low_revenues
            else counted.low_margins
        end as low_amounts,
        case
            when kinds.scope = 'all' and kinds.measure = 'revenue'
                then counted.low_revenue_of_all
            when kinds.scope = 'all' then counted.low_margin_of_all
            when kinds.measure = 'revenue' then counted.low_revenue
            else counted.low_margin
        end as low_amount,
        case
            when kinds.scope = 'all' and kinds.measure = 'revenue'
                then counted.high_revenue_of_all
            when kinds.scope = 'all' then counted.high_margin_of_all
            when kinds.measure = 'revenue' then counted.high_revenue
            else counted.high_margin
        end as high_amount

    from kinds

    cross join counted

),

-- The quantile stands at position (customers - 1) * 95 / 100, counted from 0: between
-- `position` and the next one, `hundredths` of the way.
aimed as (

    select
        scope,
        scope_value,
        measure,

        cast((sum(customers) - 1) * 95 / 100 as bigint) as position,
        cast((sum(customers) - 1) * 95 % 100 as bigint) as hundredths,
        sum(low_amounts) as low_amounts,
        max(low_amount) as low_amount,
        coalesce(min(high_amount), max(low_amount)) as high_amount

    from tall

    group by scope, scope_value, measure

),

neighbours as (

    select
        scope,
        scope_value,
        measure,
        hundredths,
        case when position < low_amounts then low_amount else high_amount end
            as amount,
        case when position + 1 < low_amounts then low_amount else high_amount end
            as next_amount

    from aimed

),

quantiles as (

    select
        scope,
        scope_value,
        measure,
        cast(
            (amount * (100 - hundredths) + next_amount * hundredths) / 100
            as decimal(30,12)
        ) as quantile

    from neighbours

),

final as (

    select
        scope,
        scope_value,

        max(case when measure = 'revenue' then quantile end) as revenue_cap,
        max(case when measure = 'margin' then quantile end) as margin_cap

    from quantiles

    group by scope, scope_value

)

select * from final
