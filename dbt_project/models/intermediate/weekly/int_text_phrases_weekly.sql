-- Without words: the span says where they stand in the field of the record that the load brought.
select
    texts.week,
    texts.account_id,
    phrases.category,
    phrases.rule_id,
    phrases.is_negated,
    phrases.language,
    texts.record_table as source_table,
    texts.source_kind,
    texts.source_system,
    texts.source_instance,
    texts.source_record_id,
    texts.load_id,
    phrases.record_field as source_field,
    phrases.span_start,
    phrases.span_end,
    texts.occurred_at,
    texts.available_at,
    texts.is_customer_side,
    texts.is_sensitive,
    texts.is_repeated,
    texts.rule_version
from {{ ref('int_text_records_weekly') }} as texts
inner join {{ ref('int_text_phrase') }} as phrases
    on
        texts.record_table = phrases.record_table
        and texts.source_kind = phrases.record_kind
        and texts.source_system = phrases.record_system
        and texts.source_instance = phrases.record_instance
        and texts.source_record_id = phrases.record_id
        and texts.load_id = phrases.record_load_id
        and texts.rule_version = phrases.rule_version
