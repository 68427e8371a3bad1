{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'record_table', 'record_id', 'record_load_id']) }}
{{ event_facts('text_reading', ref('stg_text_reading')) }}
