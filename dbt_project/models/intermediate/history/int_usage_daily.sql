{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'source_account_id', 'usage_date']) }}
{{ event_facts('usage_daily', ref('stg_usage_daily')) }}
