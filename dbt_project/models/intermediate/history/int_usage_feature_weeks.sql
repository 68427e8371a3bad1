{{ config(unique_key=['load_id']) }}
{{ usage_weeks('coalesce(feature_key, event_name)', 'feature_key') }}
