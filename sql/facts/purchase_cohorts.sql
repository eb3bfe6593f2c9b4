-- facts.purchase_cohorts: how the customers of a month bought on average.
--
-- grain   cohort_month
-- reads   facts.purchase_histories
-- params  none
--
-- cohort_month          date           first day of the month of the first purchase
-- customers             bigint         who first bought in it
-- frequency             bigint         repeat purchase days of all of them
-- age_days              bigint         days they have been customers, together
-- repeat_spend          decimal(18,2)  net money of the repeat purchase days
-- purchases_a_day       double         repeat purchase days of a customer a day: the
--                                      cohort's own, shrunk to those of the shop
-- purchases_weight      double         how far its own count in that, 0 to 1
-- known_days            double         days that a customer of the cohort has been seen
--                                      on average: so far purchases_a_day reaches
-- shop_purchases_a_day  double         those of all customers; further than that
-- mean_spend            double         money of a purchase day, 0 at least: the mean of
--                                      its customers with repeat purchases, shrunk to
--                                      that of the shop; null where nobody has any
-- spend_weight          double         how far its own counts in that, 0 to 1
-- paying_share          double         share of the shop's customers with repeat
--                                      purchases who spend anything on them; null
--                                      where nobody has any
--
-- What stands in for a model where there is too little data to fit one.
--
-- Shrinking is empirical Bayes by moments (Clayton and Kaldor 1987 for rates, Bühlmann
-- and Straub 1970 for money). A cohort of x purchases in e days counts v e / (v e + c)
-- beside the shop, whose rate is m. c is chance: (x - m e)² of all customers, for each
-- of their days. v is what cohorts differ by beyond chance: the sum of (x - m e)² over
-- cohorts, less that over customers, by the sum of e² over cohorts. So a cohort of a
-- few days, and cohorts that differ no more than by chance, buy as the shop does.
-- Money alike, with customers instead of days.
--
-- Where all customers together have been seen for less than a year, the days that are
-- missing count as days without a purchase. A customer's mean spend counts once, and
-- no higher than the 95 % quantile of all: one wholesaler is not what everybody is
-- expected to spend.

with

histories as (

    select
        cohort_month,
        frequency,
        age_days,
        repeat_spend,
        case
            when frequency > 0
                then cast(greatest(repeat_spend, 0) / frequency as decimal(18,2))
        end as spend

    from facts.purchase_histories

),

spends as (

    select
        spend,

        count(*) as customers

    from histories

    where spend is not null

    group by spend

),

placed as (

    select
        spend,
        sum(customers) over (
            order by spend
            rows between unbounded preceding and current row
        ) as last_place,
        (sum(customers) over () - 1) * 19 as twentieths

    from spends

),

-- The quantile lies between the customer at 19/20 of the way and the next one.
quantile as (

    select
        min(case when last_place > twentieths / 20 then spend end) as lower,
        coalesce(
            min(case when last_place > twentieths / 20 + 1 then spend end),
            max(spend)
        ) as upper,
        cast(max(twentieths % 20) as decimal(2,0)) as beyond

    from placed

),

capped as (

    select
        histories.cohort_month,
        histories.frequency,
        histories.age_days,
        histories.repeat_spend,
        histories.spend > 0 as is_paying,
        case
            when histories.spend is not null
                then cast(
                    least(
                        histories.spend,
                        quantile.lower
                        + (quantile.upper - quantile.lower) * quantile.beyond / 20
                    ) as decimal(18,2)
                )
        end as spend

    from histories

    cross join quantile

),

shop as (

    select
        cast(sum(frequency) as double)
        / cast(greatest(sum(age_days), 365) as double) as rate,
        cast(sum(spend) as double) / cast(count(spend) as double) as spend,
        cast(count(case when is_paying then 1 end) as double)
        / cast(count(spend) as double) as paying_share

    from capped

),

-- Squares become decimals: their sums are the same in whatever order.
cohorts as (

    select
        capped.cohort_month,

        count(*) as customers,
        sum(capped.frequency) as frequency,
        sum(capped.age_days) as age_days,
        sum(capped.repeat_spend) as repeat_spend,
        count(capped.spend) as spenders,
        sum(capped.spend) as spend,
        sum(
            cast(
                power(capped.frequency - shop.rate * capped.age_days, 2)
                as decimal(38,6)
            )
        ) as frequency_squares,
        sum(
            cast(power(capped.spend - shop.spend, 2) as decimal(38,6))
        ) as spend_squares

    from capped

    cross join shop

    group by capped.cohort_month

),

summed as (

    select
        cast(sum(cohorts.age_days) as double) as age_days,
        cast(sum(cohorts.frequency_squares) as double) as frequency_squares,
        cast(
            sum(
                cast(
                    power(cohorts.frequency - shop.rate * cohorts.age_days, 2)
                    as decimal(38,6)
                )
            ) as double
        ) as cohort_frequency_squares,
        cast(
            sum(cast(power(cohorts.age_days, 2) as decimal(38,0))) as double
        ) as cohort_age_squares,

        cast(sum(cohorts.spenders) as double) as spenders,
        cast(sum(cohorts.spend_squares) as double) as spend_squares,
        cast(
            sum(
                cast(
                    power(cohorts.spend - shop.spend * cohorts.spenders, 2)
                    as decimal(38,6)
                )
            ) as double
        ) as cohort_spend_squares,
        cast(
            sum(cast(power(cohorts.spenders, 2) as decimal(38,0))) as double
        ) as cohort_spender_squares

    from cohorts

    cross join shop

),

differences as (

    select
        frequency_squares / nullif(age_days, 0) as purchases_chance,
        greatest(cohort_frequency_squares - frequency_squares, 0)
        / nullif(cohort_age_squares, 0) as purchases_variance,

        spend_squares / nullif(spenders, 0) as spend_chance,
        greatest(cohort_spend_squares - spend_squares, 0)
        / nullif(cohort_spender_squares, 0) as spend_variance

    from summed

),

weighed as (

    select
        cohorts.*,

        coalesce(
            differences.purchases_variance * cohorts.age_days
            / nullif(
                differences.purchases_variance * cohorts.age_days
                + differences.purchases_chance,
                0
            ),
            0
        ) as purchases_weight,
        coalesce(
            differences.spend_variance * cohorts.spenders
            / nullif(
                differences.spend_variance * cohorts.spenders
                + differences.spend_chance,
                0
            ),
            0
        ) as spend_weight

    from cohorts

    cross join differences

),

final as (

    select
        weighed.cohort_month,

        weighed.customers,
        weighed.frequency,
        weighed.age_days,
        cast(weighed.repeat_spend as decimal(18,2)) as repeat_spend,

        shop.rate
        + weighed.purchases_weight
        * coalesce(
            cast(weighed.frequency as double)
            / nullif(cast(weighed.age_days as double), 0) - shop.rate,
            0
        ) as purchases_a_day,
        weighed.purchases_weight,
        cast(weighed.age_days as double) / cast(weighed.customers as double)
            as known_days,
        shop.rate as shop_purchases_a_day,

        shop.spend
        + weighed.spend_weight
        * coalesce(
            cast(weighed.spend as double)
            / nullif(cast(weighed.spenders as double), 0) - shop.spend,
            0
        ) as mean_spend,
        weighed.spend_weight,
        shop.paying_share

    from weighed

    cross join shop

)

select * from final
