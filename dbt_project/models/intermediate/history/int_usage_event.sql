{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'event_id']) }}
{%- set columns = ['occurred_at', 'group_id', 'user_id', 'anonymous_id', 'feature_key', 'event_name'] %}
{{ event_facts('usage_event', ref('stg_usage_event'), columns) }}
