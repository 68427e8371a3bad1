{%- set spine = ref('int_account_week_spine') -%}
with readers as (

    -- a system whose records hold no words says nothing of risks, however many records it sends
    select
        record_kind as source_kind,
        record_system as source_system,
        record_instance as source_instance,
        min(text_available_at) as first_text_at
    from {{ ref('int_text_reading') }}
    where rule_version = '{{ var("text_rule_version") }}' and characters > 0
    group by record_kind, record_system, record_instance

),

connected as (

    select distinct
        weeks.week,
        links.account_id
    from {{ ref('int_week_spine') }} as weeks
    inner join readers on readers.first_text_at <= weeks.known_at
    inner join {{ ref('int_account_links_weekly') }} as links
        on
            weeks.week = links.week
            and readers.source_kind = links.source_kind
            and readers.source_system = links.source_system
            and readers.source_instance = links.source_instance

),

phrases as (

    select
        week,
        account_id,
        cast(count(*) as bigint) as risk_phrase_count_91d
    from {{ ref('int_text_phrases_weekly') }}
    where is_customer_side and not is_repeated and not is_negated and category <> 'expansion'
    group by week, account_id

),

sentiments as (

    -- scores have four decimals: as whole ten-thousandths their sum is exact, in whatever order
    select
        week,
        account_id,
        cast(1.0 * sum(cast(round(sentiment * 10000) as bigint)) / count(sentiment) / 10000 as double) as text_sentiment_91d
    from {{ ref('int_text_records_weekly') }}
    where is_customer_side and not is_repeated and is_scored
    group by week, account_id

)

select
    spine.account_id,
    spine.week,
    case when connected.account_id is not null then coalesce(phrases.risk_phrase_count_91d, 0) end as risk_phrase_count_91d,
    sentiments.text_sentiment_91d
from {{ spine }} as spine
left join connected on spine.week = connected.week and spine.account_id = connected.account_id
left join phrases on spine.week = phrases.week and spine.account_id = phrases.account_id
left join sentiments on spine.week = sentiments.week and spine.account_id = sentiments.account_id
