{{ config(incremental_strategy='overwrite_loads') }}
{%- set columns = ['occurred_at', 'group_id', 'user_id', 'anonymous_id', 'feature_key', 'event_name'] %}
{{ event_facts('usage_event', ref('stg_usage_event'), source('landing', 'source_load'), columns) }}
