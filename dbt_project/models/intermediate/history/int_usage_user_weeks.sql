{{ config(unique_key=['load_id']) }}
{{ usage_weeks('coalesce(user_id, anonymous_id)', 'user_key') }}
