-- facts.purchase_cohorts: how the customers of a month bought on average.
--
-- grain   cohort_month
-- reads   facts.purchase_histories
-- params  none
--
-- cohort_month     date           first day of the month of the first purchase
-- customers        bigint         who first bought in it
-- frequency        bigint         repeat purchase days of all of them
-- age_days         bigint         days they have been customers, together
-- repeat_spend     decimal(18,2)  gross money of the repeat purchase days
-- purchases_a_day  double         repeat purchase days of a customer a day
-- mean_spend       double         money of a repeat purchase day, of all cohorts where
--                                 this one has none; null where nobody has
--
-- What stands in for a model where there is too little data to fit one.

with

histories as (

    select
        cohort_month,
        frequency,
        age_days,
        repeat_spend

    from facts.purchase_histories

),

totals as (

    select
        cohort_month,

        count(*) as customers,
        sum(frequency) as frequency,
        sum(age_days) as age_days,
        sum(repeat_spend) as repeat_spend

    from histories

    group by cohort_month

),

compared as (

    select
        *,

        sum(frequency) over () as all_frequency,
        sum(repeat_spend) over () as all_repeat_spend

    from totals

),

final as (

    select
        cohort_month,

        customers,
        frequency,
        age_days,
        cast(repeat_spend as decimal(18,2)) as repeat_spend,
        case
            when age_days > 0
                then cast(frequency as double) / cast(age_days as double)
            else cast(0 as double)
        end as purchases_a_day,
        case
            when frequency > 0
                then cast(repeat_spend as double) / cast(frequency as double)
            when all_frequency > 0
                then cast(all_repeat_spend as double) / cast(all_frequency as double)
        end as mean_spend

    from compared

)

select * from final
