{{ config(incremental_strategy='overwrite_loads') }}
-- What looks back without limit reads this: a row a week, where days of use are ten and events are thousands.
select
    source_kind,
    source_system,
    source_instance,
    source_account_id,
    counts_from_week,
    load_id,
    cast(coalesce(sum(case when not is_roll_up then events end), 0) as bigint) as events,
    min(case when not is_roll_up then last_occurred_at end) as first_day_at,
    min(case when events > 0 then usage_date end) as first_used_on,
    max(case when events > 0 then last_occurred_at end) as last_occurred_at
from {{ ref('int_usage_days') }}
{% if is_incremental() -%}
where {{ of_pending_loads(source('landing', 'source_load')) }}
{% endif -%}
group by source_kind, source_system, source_instance, source_account_id, counts_from_week, load_id
