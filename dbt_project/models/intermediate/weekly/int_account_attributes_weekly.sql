with records as (

    {{ known_records(ref('int_week_spine'), ref('int_account_links_weekly'), ref('int_source_account_versions')) }}

),

ranked_owners as (

    select
        week,
        account_id,
        lower(trim(owner_email)) as owner_email,
        row_number() over (
            partition by week, account_id
            order by
                case source_kind when 'crm' then 1 else 2 end asc nulls last,
                valid_from desc nulls last,
                source_system asc nulls last,
                source_instance asc nulls last,
                source_account_id asc nulls last
        ) as preference
    from records
    where source_kind in ('crm', 'cs') and trim(owner_email) <> ''

),

ranked_segments as (

    select
        week,
        account_id,
        trim(segment) as crm_segment,
        row_number() over (
            partition by week, account_id
            order by
                valid_from desc nulls last,
                source_system asc nulls last,
                source_instance asc nulls last,
                source_account_id asc nulls last
        ) as preference
    from records
    where source_kind = 'crm' and trim(segment) <> ''

),

-- From one named owner to another: a time without an owner in between is part of the same change.
owner_versions as (

    select
        source_kind,
        source_system,
        source_instance,
        source_account_id,
        lower(trim(owner_email)) as owner_email,
        valid_from,
        source_created_at,
        coalesce(source_updated_at, valid_from) as stated_at,
        source_updated_at is null as is_time_observed,
        lag(lower(trim(owner_email))) over (
            partition by source_kind, source_system, source_instance, source_account_id order by valid_from nulls last
        ) as owner_before
    from {{ ref('int_source_account_versions') }}
    where source_kind in ('crm', 'cs') and not is_partial and not is_deleted and trim(owner_email) <> ''

),

record_changes as (

    select
        records.week,
        records.account_id,
        records.source_kind,
        records.source_system,
        records.source_instance,
        records.source_account_id,
        {{ count_where(
            "owners.owner_email <> owners.owner_before and owners.stated_at >= " ~ plus_days('records.as_of_at', -365)
            ~ ' and (owners.is_time_observed or owners.stated_at < records.as_of_at)'
        ) }} as changes,
        -- seen over the whole window, or since the record was made
        min(owners.stated_at) <= {{ plus_days('records.as_of_at', -365) }}
        or min(owners.stated_at) <= min(owners.source_created_at) as is_seen_throughout
    from records
    inner join owner_versions as owners
        on
            records.source_kind = owners.source_kind
            and records.source_system = owners.source_system
            and records.source_instance = owners.source_instance
            and records.source_account_id = owners.source_account_id
            and owners.valid_from <= records.known_at
    group by
        records.week, records.as_of_at, records.account_id, records.source_kind, records.source_system, records.source_instance,
        records.source_account_id

),

ranked_changes as (

    select
        week,
        account_id,
        changes,
        is_seen_throughout,
        row_number() over (
            partition by week, account_id
            order by
                case source_kind when 'crm' then 1 else 2 end asc nulls last,
                changes desc nulls last,
                source_system asc nulls last,
                source_instance asc nulls last,
                source_account_id asc nulls last
        ) as preference
    from record_changes

)

select
    spine.account_id,
    spine.week,
    owners.owner_email,
    segments.crm_segment,
    case when changes.changes > 0 or changes.is_seen_throughout then changes.changes end as owner_changes_365d
from {{ ref('int_account_week_spine') }} as spine
left join ranked_owners as owners
    on spine.week = owners.week and spine.account_id = owners.account_id and owners.preference = 1
left join ranked_segments as segments
    on spine.week = segments.week and spine.account_id = segments.account_id and segments.preference = 1
left join ranked_changes as changes
    on spine.week = changes.week and spine.account_id = changes.account_id and changes.preference = 1
