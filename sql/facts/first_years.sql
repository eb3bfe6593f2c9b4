-- facts.first_years: what does the year after the first purchase bring?
--
-- grain   scope, scope_value
-- reads   facts.customer_margins
-- params  none
--
-- scope        text            all or channel
-- scope_value  text            all, or the acquisition channel
-- customers    bigint          observed for a year, and not known from before
-- revenue_cap  decimal(30,12)  the 95 % quantile of what the days 1 to 365 after the
--                              first one brought (type 7)
-- revenue      decimal(38,12)  what they brought, of each customer at most the cap
-- margin_cap   decimal(30,12)  the same of the margin
-- margin       decimal(38,12)  likewise
--
-- revenue / customers is what a year brings after the first day, whatever one giant
-- brings. Quantiles are looked for in the right bucket of amounts: there are nearly as
-- many amounts as customers.

with

customers as (

    select
        customer_id,
        acquisition_channel,
        return_revenue,
        return_margin

    from facts.customer_margins

    where tenure_days >= 365
        and not is_known_before

),

measures as (

    select *

    from (values ('revenue'), ('margin')) as names (measure)

),

scopes as (

    select *

    from (values ('all'), ('channel')) as names (scope)

),

valued as (

    select
        customers.customer_id,
        customers.acquisition_channel,
        measures.measure,
        case measures.measure
            when 'revenue' then cast(customers.return_revenue as decimal(26,8))
            else customers.return_margin
        end as amount

    from measures

    cross join customers

),

-- Roots are exact to the last bit, so that no higher amount is in a lower bucket.
amounts as (

    select
        *,
        cast(
            signum(cast(amount as double))
            * floor(10 * sqrt(abs(cast(amount as double))))
            as bigint
        ) as bucket

    from valued

),

counted as (

    select
        acquisition_channel,
        measure,
        bucket,

        count(*) as customers

    from amounts

    group by acquisition_channel, measure, bucket

),

buckets as (

    select
        scopes.scope,
        case scopes.scope
            when 'all' then 'all'
            else counted.acquisition_channel
        end as scope_value,
        counted.measure,
        counted.bucket,

        cast(sum(counted.customers) as bigint) as customers

    from scopes

    cross join counted

    group by
        scopes.scope,
        case scopes.scope
            when 'all' then 'all'
            else counted.acquisition_channel
        end,
        counted.measure,
        counted.bucket

),

running as (

    select
        *,

        sum(customers) over (
            partition by scope, scope_value, measure
            order by bucket
            rows between unbounded preceding and current row
        ) as end_position,
        sum(customers) over (
            partition by scope, scope_value, measure
        ) as population

    from buckets

),

-- The quantile stands at position (population - 1) * 95 / 100, counted from 0: between
-- `low` and the next one, `hundredths` of the way.
aimed as (

    select
        *,
        end_position - customers as first_position,
        (population - 1) * 95 / 100 as low,
        (population - 1) * 95 % 100 as hundredths

    from running

),

-- One bucket, or the two that have the two positions.
cuts as (

    select *

    from aimed

    where first_position <= low + 1
        and end_position > low

),

placed as (

    select
        cuts.scope,
        cuts.scope_value,
        cuts.measure,
        cuts.low,
        cuts.hundredths,
        amounts.amount,

        cast(
            row_number() over (
                partition by cuts.scope, cuts.scope_value, cuts.measure
                order by amounts.amount, amounts.customer_id
            ) as bigint
        ) - 1
        + min(cuts.first_position) over (
            partition by cuts.scope, cuts.scope_value, cuts.measure
        ) as position

    from cuts

    inner join amounts
        on cuts.measure = amounts.measure
        and cuts.bucket = amounts.bucket
        and (
            cuts.scope = 'all'
            or cuts.scope_value = amounts.acquisition_channel
        )

),

-- The highest position has no next one, and needs none.
neighbours as (

    select
        scope,
        scope_value,
        measure,
        hundredths,

        max(case when position = low then amount end) as low_amount,
        coalesce(
            max(case when position = low + 1 then amount end),
            max(case when position = low then amount end)
        ) as high_amount

    from placed

    group by scope, scope_value, measure, hundredths

),

caps as (

    select
        scope,
        scope_value,
        measure,
        cast(
            (low_amount * (100 - hundredths) + high_amount * hundredths) / 100
            as decimal(30,12)
        ) as cap

    from neighbours

),

caps_of_channels as (

    select
        channels.scope_value as acquisition_channel,
        channels.measure,
        channels.cap,
        of_all.cap as cap_of_all

    from caps as channels

    inner join caps as of_all
        on channels.measure = of_all.measure
        and of_all.scope = 'all'

    where channels.scope = 'channel'

),

capped as (

    select
        caps.acquisition_channel,
        caps.measure,
        caps.cap,
        caps.cap_of_all,

        count(*) as customers,
        sum(least(amounts.amount, caps.cap)) as amount,
        sum(least(amounts.amount, caps.cap_of_all)) as amount_of_all

    from caps_of_channels as caps

    inner join amounts
        on caps.acquisition_channel = amounts.acquisition_channel
        and caps.measure = amounts.measure

    group by
        caps.acquisition_channel,
        caps.measure,
        caps.cap,
        caps.cap_of_all

),

tall as (

    select
        'channel' as scope,
        acquisition_channel as scope_value,
        measure,
        customers,
        cap,
        amount

    from capped

    union all

    select
        'all' as scope,
        'all' as scope_value,
        measure,
        customers,
        cap_of_all as cap,
        amount_of_all as amount

    from capped

),

final as (

    select
        scope,
        scope_value,

        cast(
            sum(case when measure = 'revenue' then customers end) as bigint
        ) as customers,
        max(case when measure = 'revenue' then cap end) as revenue_cap,
        cast(
            sum(case when measure = 'revenue' then amount end)
            as decimal(38,12)
        ) as revenue,
        max(case when measure = 'margin' then cap end) as margin_cap,
        cast(
            sum(case when measure = 'margin' then amount end)
            as decimal(38,12)
        ) as margin

    from tall

    group by scope, scope_value

)

select * from final
