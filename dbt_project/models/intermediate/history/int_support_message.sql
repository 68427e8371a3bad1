{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'message_id']) }}
{{ event_facts('support_message', ref('stg_support_message')) }}
