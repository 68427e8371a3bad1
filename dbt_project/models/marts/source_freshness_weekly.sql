{{ config(
    materialized='incremental',
    incremental_strategy='overwrite_weeks',
    on_schema_change='append_new_columns',
    full_refresh=false,
) }}
with kinds as (

    {{ policy_source_kinds() }}

),

sources as (

    select
        week,
        source_kind,
        max(newest_load_at) as newest_load_at,
        max(newest_available_at) as newest_available_at,
        max(newest_fact_at) as newest_fact_at,
        cast(sum(records) as bigint) as records
    from {{ ref('int_sources_weekly') }}
    group by week, source_kind

),

loads as (

    select
        weeks.week,
        loads.source_kind,
        cast(count(distinct loads.load_id) as bigint) as loads
    from {{ ref('int_week_spine') }} as weeks
    inner join {{ source('landing', 'source_load') }} as loads on loads.loaded_at <= weeks.known_at
    group by weeks.week, loads.source_kind

),

source_accounts as (

    select
        weeks.week,
        records.source_kind,
        cast(count(*) as bigint) as source_accounts,
        cast(count(links.account_id) as bigint) as matched_accounts
    from {{ ref('int_week_spine') }} as weeks
    inner join {{ ref('int_source_account_versions') }} as records on {{ valid_at('records', 'weeks.known_at') }}
    left join {{ ref('int_account_links_weekly') }} as links
        on
            weeks.week = links.week
            and records.source_kind = links.source_kind
            and records.source_system = links.source_system
            and records.source_instance = links.source_instance
            and records.source_account_id = links.source_account_id
    where not records.is_deleted
    group by weeks.week, records.source_kind

)

select
    kinds.source_kind,
    weeks.week,
    sources.week is not null as is_connected,
    kinds.is_required,
    -- before the first load made after the fact, what a historical load says of that time stands for the load
    coalesce(
        {{ later_of('sources.newest_load_at', 'sources.newest_available_at') }}
        < {{ plus_days('weeks.known_at', '-kinds.stale_after_days') }},
        false
    ) as is_stale,
    sources.newest_load_at,
    sources.newest_fact_at,
    coalesce(loads.loads, 0) as loads,
    coalesce(sources.records, 0) as records,
    coalesce(source_accounts.source_accounts, 0) as source_accounts,
    coalesce(source_accounts.matched_accounts, 0) as matched_accounts,
    case
        when source_accounts.source_accounts > 0
            then cast(1.0 * source_accounts.matched_accounts / source_accounts.source_accounts as double)
    end as match_share,
    weeks.as_of_at,
    weeks.known_at
from {{ ref('int_week_spine') }} as weeks
cross join kinds
left join sources on weeks.week = sources.week and kinds.source_kind = sources.source_kind
left join loads on weeks.week = loads.week and kinds.source_kind = loads.source_kind
left join source_accounts on weeks.week = source_accounts.week and kinds.source_kind = source_accounts.source_kind
