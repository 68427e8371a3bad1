{%- set spine = ref('int_account_week_spine') -%}
{%- set same_record -%}
records.source_kind = earlier.source_kind
            and records.source_system = earlier.source_system
            and records.source_instance = earlier.source_instance
            and records.source_account_id = earlier.source_account_id
{%- endset -%}
with records as (

    {{ known_records(ref('int_week_spine'), ref('int_account_links_weekly'), ref('int_source_account_versions')) }}

),

-- What the CRM says now against what it said a year before, or in its first complete version since.
compared as (

    select
        records.week,
        records.account_id,
        records.source_system,
        records.source_instance,
        records.source_account_id,
        records.employee_count,
        records.parent_source_account_id,
        earlier.employee_count as employee_count_before,
        earlier.parent_source_account_id as parent_before,
        row_number() over (
            partition by records.week, records.account_id, records.source_system, records.source_instance, records.source_account_id
            order by earlier.valid_from asc nulls last
        ) as earliness
    from records
    inner join {{ ref('int_source_account_versions') }} as earlier
        on
            {{ same_record }}
            and earlier.valid_from <= records.known_at
            and (earlier.valid_to is null or earlier.valid_to > {{ plus_days('records.known_at', -365) }})
    where records.source_kind = 'crm' and not records.is_partial and not earlier.is_partial and not earlier.is_deleted

),

changes as (

    select
        week,
        account_id,
        min(
            case
                when employee_count_before > 0
                    then cast(1.0 * (employee_count - employee_count_before) / employee_count_before as double)
            end
        ) as employee_count_change_share_365d,
        {{ any_true("coalesce(parent_source_account_id, '') <> coalesce(parent_before, '')") }} as has_parent_changed_365d
    from compared
    where earliness = 1
    group by week, account_id

)

select
    spine.account_id,
    spine.week,
    changes.employee_count_change_share_365d,
    changes.has_parent_changed_365d
from {{ spine }} as spine
left join changes on spine.week = changes.week and spine.account_id = changes.account_id
