{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'risk_id', 'changed_at', 'field']) }}
{{ event_facts('risk_history', ref('stg_risk_history')) }}
