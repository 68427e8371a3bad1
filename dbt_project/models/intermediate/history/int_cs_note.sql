{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'note_id']) }}
{{ event_facts('cs_note', ref('stg_cs_note')) }}
