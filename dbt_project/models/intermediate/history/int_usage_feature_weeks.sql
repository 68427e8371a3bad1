{{ config(incremental_strategy='overwrite_loads') }}
{{ usage_weeks('coalesce(feature_key, event_name)', 'feature_key') }}
