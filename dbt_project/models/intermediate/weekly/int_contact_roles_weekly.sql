{%- set weeks = ref('int_week_spine') -%}
{%- set links = ref('int_account_links_weekly') -%}
{%- set key = 'source_kind, source_system, source_instance, contact_id' -%}
with known_contacts as (

    {{ known_records(weeks, links, ref('int_crm_contact_versions')) }}

),

dated as (

    select
        *,
        {{ lifecycle_time('known_contacts', 'left_at', 'crm', 'as_of_at', 'known_at') }} as left_then_at
    from known_contacts

),

contacts as (

    select
        *,
        role is null and is_partial as is_role_unknown,
        -- a date of leaving says more than a flag that may have been set after as_of_at
        case when left_at is not null then left_then_at is null else coalesce(is_active, true) end as is_there
    from dated

),

roles as (

    select
        week,
        account_id,
        {{ any_true("role = 'champion' and is_there") }} as has_active_champion,
        {{ any_true("role in ('decision_maker', 'economic_buyer') and is_there") }} as has_exec_sponsor,
        {{ any_true('is_role_unknown and left_then_at is null') }} as is_any_role_unknown,
        {{ any_true("role = 'champion' and " ~ in_window('left_then_at', 'as_of_at', 180)) }} as has_dated_leaver,
        {{ any_true('is_role_unknown and ' ~ in_window('left_then_at', 'as_of_at', 180)) }} as is_leavers_role_unknown,
        -- no longer there, and nobody knows since when: perhaps in the window
        {{ any_true(
            "role = 'champion' and left_at is null and not coalesce(is_active, true) and source_updated_at >= "
            ~ plus_days('as_of_at', -180)
        ) }} as is_leaving_time_unknown
    from contacts
    group by week, account_id

),

versions as (

    select
        *,
        coalesce(is_active, true) and left_at is null and not is_deleted and not is_partial as is_seen_there,
        lag(role) over (partition by {{ key }} order by valid_from nulls last) as role_before,
        lag(coalesce(is_active, true) and left_at is null and not is_deleted and not is_partial) over (
            partition by {{ key }} order by valid_from nulls last
        ) as was_seen_there,
        lag(source_account_id) over (partition by {{ key }} order by valid_from nulls last) as source_account_id_before
    from {{ ref('int_crm_contact_versions') }}

),

-- A champion who was there in one version and is not in the next: switched off, deleted, or missing from a complete extract.
departures as (

    select
        source_kind,
        source_system,
        source_instance,
        contact_id,
        coalesce(source_account_id, source_account_id_before) as source_account_id,
        valid_from,
        source_updated_at
    from versions
    where was_seen_there and not is_seen_there and role_before = 'champion'

),

known_departures as (

    select
        weeks.week,
        weeks.as_of_at,
        links.account_id,
        departures.contact_id,
        {{ any_true('current_versions.is_seen_there') }} as is_back,
        max(coalesce(current_versions.left_at, departures.source_updated_at, departures.valid_from)) as departed_at,
        max(
            case when current_versions.left_at is null and departures.source_updated_at is null then departures.valid_from end
        ) as noticed_at
    from {{ weeks }} as weeks
    inner join departures on departures.valid_from <= weeks.known_at
    inner join versions as current_versions
        on
            departures.source_kind = current_versions.source_kind
            and departures.source_system = current_versions.source_system
            and departures.source_instance = current_versions.source_instance
            and departures.contact_id = current_versions.contact_id
            and {{ valid_at('current_versions', 'weeks.known_at') }}
    inner join {{ links }} as links
        on
            weeks.week = links.week
            and departures.source_kind = links.source_kind
            and departures.source_system = links.source_system
            and departures.source_instance = links.source_instance
            and departures.source_account_id = links.source_account_id
    group by
        weeks.week, weeks.as_of_at, links.account_id, departures.source_kind, departures.source_system, departures.source_instance,
        departures.contact_id

),

-- What only an extract shows has no time of its own: it counts from the extract on.
leavers as (

    select distinct
        week,
        account_id
    from known_departures
    where
        not is_back
        and departed_at >= {{ plus_days('as_of_at', -180) }}
        and (departed_at < as_of_at or departed_at = noticed_at)

)

select
    spine.account_id,
    spine.week,
    case
        when not spine.is_crm_contact_connected then null
        when coalesce(roles.has_active_champion, false) then true
        when not coalesce(roles.is_any_role_unknown, false) then false
    end as has_active_champion,
    case
        when not spine.is_crm_contact_connected then null
        when coalesce(roles.has_exec_sponsor, false) then true
        when not coalesce(roles.is_any_role_unknown, false) then false
    end as has_exec_sponsor,
    case
        when not spine.is_crm_contact_connected then null
        when coalesce(roles.has_dated_leaver, false) or leavers.account_id is not null then true
        when not (coalesce(roles.is_leavers_role_unknown, false) or coalesce(roles.is_leaving_time_unknown, false)) then false
    end as champion_left_180d
from {{ ref('int_account_week_spine') }} as spine
left join roles on spine.week = roles.week and spine.account_id = roles.account_id
left join leavers on spine.week = leavers.week and spine.account_id = leavers.account_id
