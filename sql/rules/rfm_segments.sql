-- rules.rfm_segments: what the eight RFM classes are called, and what to do.
--
-- grain   r_high, f_high, m_high
-- reads   none
-- params  none
-- rule    cells r_high in (false, true), f_high in (false, true), m_high in (false, true);
--         segment names name_en, name_zh, action_en, action_zh
--
-- r_high     boolean  bought recently, more than most
-- f_high     boolean  buys often
-- m_high     boolean  spends much
-- segment    text     key of the class; several cells may share one
-- name_en    text     its name in English
-- name_zh    text     its name in Chinese
-- action_en  text     what to do with its customers, in English
-- action_zh  text     the same in Chinese
--
-- Late but frequent and valuable (011) is kept: the habit stands, only the rhythm
-- slips. Long gone, rare and valuable (001) is won back: something went wrong.

with

rules as (

    select *

    from (
        values
            (
                true, true, true,
                'important_value', 'important value', '重要价值',
                'serve first: best people, early access, no discount needed',
                '优先服务：专人维护，新品优先，无需打折'
            ),
            (
                true, false, true,
                'important_development', 'important development', '重要发展',
                'raise frequency: membership, packages, the next appointment',
                '提升频次：会员、套餐、预约下次到店'
            ),
            (
                false, true, true,
                'important_keep', 'important keep', '重要保持',
                'keep the rhythm: a satisfaction call before the habit breaks',
                '保持节奏：满意度回访，主动联系'
            ),
            (
                false, false, true,
                'important_win_back', 'important win-back', '重要挽留',
                'win back: ask in person what went wrong, make an offer',
                '重点挽留：一对一询问流失原因，给出专属方案'
            ),
            (
                true, true, false,
                'general_value', 'general value', '一般价值',
                'raise the basket: add-ons and better products',
                '提升客单价：连带推荐，升级产品'
            ),
            (
                true, false, false,
                'general_development', 'general development', '一般发展',
                'bring to a second purchase: welcome series, trial offer',
                '促成复购：新客关怀，体验优惠'
            ),
            (
                false, true, false,
                'general_keep', 'general keep', '一般保持',
                'remind at low cost: points, seasonal messages',
                '低成本提醒：积分、节日关怀'
            ),
            (
                false, false, false,
                'general_win_back', 'general win-back', '一般挽留',
                'mass campaigns only; let go when they do not answer',
                '仅群发活动触达，无响应则放弃'
            )
    ) as rules (
        r_high, f_high, m_high,
        segment, name_en, name_zh, action_en, action_zh
    )

)

select * from rules
