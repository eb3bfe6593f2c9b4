-- facts.first_years: what does the year after the first purchase bring?
--
-- grain   scope, scope_value
-- reads   facts.customer_margins, facts.first_year_caps
-- params  none
--
-- scope        text            all or channel
-- scope_value  text            all, or the acquisition channel
-- customers    bigint          observed for a year, and not known from before
-- revenue_cap  decimal(30,12)  as in facts.first_year_caps
-- revenue      decimal(38,12)  what the days 1 to 365 after the first one brought, of
--                              each customer at most the cap
-- margin_cap   decimal(30,12)  as in facts.first_year_caps
-- margin       decimal(38,12)  the margin, likewise
--
-- revenue / customers is what a year brings after the first day, whatever one giant
-- brings.

with

customers as (

    select
        acquisition_channel,
        cast(return_revenue as decimal(26,8)) as return_revenue,
        return_margin

    from facts.customer_margins

    where tenure_days >= 365
        and not is_known_before

),

caps as (

    select
        scope,
        scope_value,
        revenue_cap,
        margin_cap

    from facts.first_year_caps

),

-- The caps of a channel, and those of all beside them.
channels as (

    select
        channels.scope_value as acquisition_channel,
        channels.revenue_cap,
        channels.margin_cap,
        everybody.revenue_cap as revenue_cap_of_all,
        everybody.margin_cap as margin_cap_of_all

    from caps as channels

    inner join caps as everybody
        on channels.scope = 'channel'
        and everybody.scope = 'all'

),

-- Both in one pass over the customers.
capped as (

    select
        channels.acquisition_channel,
        channels.revenue_cap,
        channels.margin_cap,
        channels.revenue_cap_of_all,
        channels.margin_cap_of_all,

        count(*) as customers,
        sum(least(customers.return_revenue, channels.revenue_cap)) as revenue,
        sum(least(customers.return_margin, channels.margin_cap)) as margin,
        sum(least(customers.return_revenue, channels.revenue_cap_of_all))
            as revenue_of_all,
        sum(least(customers.return_margin, channels.margin_cap_of_all))
            as margin_of_all

    from channels

    inner join customers
        on channels.acquisition_channel = customers.acquisition_channel

    group by
        channels.acquisition_channel,
        channels.revenue_cap,
        channels.margin_cap,
        channels.revenue_cap_of_all,
        channels.margin_cap_of_all

),

scopes as (

    select *

    from (values ('all'), ('channel')) as names (scope)

),

scoped as (

    select
        scopes.scope,
        case scopes.scope
            when 'all' then 'all'
            else capped.acquisition_channel
        end as scope_value,
        capped.customers,
        case scopes.scope
            when 'all' then capped.revenue_cap_of_all
            else capped.revenue_cap
        end as revenue_cap,
        case scopes.scope
            when 'all' then capped.revenue_of_all
            else capped.revenue
        end as revenue,
        case scopes.scope
            when 'all' then capped.margin_cap_of_all
            else capped.margin_cap
        end as margin_cap,
        case scopes.scope
            when 'all' then capped.margin_of_all
            else capped.margin
        end as margin

    from scopes

    cross join capped

),

final as (

    select
        scope,
        scope_value,

        cast(sum(customers) as bigint) as customers,
        max(revenue_cap) as revenue_cap,
        cast(sum(revenue) as decimal(38,12)) as revenue,
        max(margin_cap) as margin_cap,
        cast(sum(margin) as decimal(38,12)) as margin

    from scoped

    group by scope, scope_value

)

select * from final
