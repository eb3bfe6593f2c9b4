-- rules.rfm_scores: which recency, frequency and revenue earn which score?
--
-- grain   measure, score
-- reads   none
-- params  none
-- rule    ranges measure in (recency, frequency, monetary): at_least <= value < below;
--         score in (1..5)
--
-- measure   text           recency (days), frequency (purchases) or monetary
-- score     bigint         1 to 5, 5 is best
-- at_least  decimal(18,2)  the lowest value that earns it; null: however low
-- below     decimal(18,2)  the first value that does not; null: however high
--
-- Read where $rfm_method is `rules`, best with an $rfm_window_days of 30: recency
-- up to 30 days 5, to 35 4, to 40 3, to 50 2, longer 1; every frequency 5, since
-- a month is too short to tell people apart by it; revenue below 1,000 1, below
-- 1,500 2, below 2,000 3, below 2,500 4, from there 5.

with

rules as (

    select
        measure,
        cast(score as bigint) as score,

        cast(at_least as decimal(18,2)) as at_least,
        cast(below as decimal(18,2)) as below

    from (
        values
            ('recency', 5, null, 31),
            ('recency', 4, 31, 36),
            ('recency', 3, 36, 41),
            ('recency', 2, 41, 51),
            ('recency', 1, 51, null),

            ('frequency', 5, null, null),

            ('monetary', 1, null, 1000),
            ('monetary', 2, 1000, 1500),
            ('monetary', 3, 1500, 2000),
            ('monetary', 4, 2000, 2500),
            ('monetary', 5, 2500, null)
    ) as rules (measure, score, at_least, below)

)

select * from rules
