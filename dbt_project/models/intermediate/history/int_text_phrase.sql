{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'record_table', 'record_id', 'record_load_id', 'record_field', 'rule_id', 'span_start', 'span_end']) }}
{{ event_facts('text_phrase', ref('stg_text_phrase')) }}
