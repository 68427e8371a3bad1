-- Phrases of 28 days, as int_text_phrase_counts_weekly counts them: where the words stand, not what they say.
select
    phrases.account_id,
    phrases.week,
    phrases.source_kind,
    phrases.source_system,
    phrases.source_instance,
    phrases.source_table,
    phrases.source_record_id,
    phrases.load_id,
    phrases.occurred_at as observed_at,
    phrases.available_at,
    phrases.category || '_phrases' as record_set,
    cast(null as double) as value,
    phrases.source_field as text_field,
    phrases.span_start,
    phrases.span_end
from {{ ref('int_text_phrases_weekly') }} as phrases
inner join {{ ref('int_week_spine') }} as weeks on phrases.week = weeks.week
where
    phrases.is_customer_side
    and not phrases.is_repeated
    and not phrases.is_negated
    and {{ in_window('phrases.occurred_at', 'weeks.as_of_at', 28) }}
