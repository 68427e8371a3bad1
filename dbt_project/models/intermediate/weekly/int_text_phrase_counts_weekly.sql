{%- set categories = [
    'onboarding', 'adoption', 'value_outcome', 'support', 'product_quality', 'sentiment', 'engagement_silence', 'sponsor_stakeholder',
    'commercial_payment', 'competitive', 'corporate_change', 'delivery', 'renewal_posture', 'expansion'
] -%}
-- As risk_phrase_count_91d counts them, by category and in 28 days.
with phrases as (

    select
        phrases.week,
        phrases.account_id,
        phrases.category
    from {{ ref('int_text_phrases_weekly') }} as phrases
    inner join {{ ref('int_week_spine') }} as weeks on phrases.week = weeks.week
    where
        phrases.is_customer_side
        and not phrases.is_repeated
        and not phrases.is_negated
        and {{ in_window('phrases.occurred_at', 'weeks.as_of_at', 28) }}

),

counted as (

    select
        week,
        account_id,
    {% for category in categories -%}
    {{ count_where("category = '%s'" % category) }} as {{ category }}_phrases_28d{{ ',' if not loop.last }}
    {% endfor %}
    from phrases
    group by week, account_id

)

select
    texts.account_id,
    texts.week,
{% for category in categories -%}
case
    when texts.risk_phrase_count_91d is not null then coalesce(counted.{{ category }}_phrases_28d, 0)
end as {{ category }}_phrases_28d{{ ',' if not loop.last }}
{% endfor %}
from {{ ref('int_text_weekly') }} as texts
left join counted on texts.week = counted.week and texts.account_id = counted.account_id
