{{ config(incremental_strategy='overwrite_loads') }}
{{ usage_weeks('coalesce(user_id, anonymous_id)', 'user_key') }}
