{{ config(materialized='table') }}
with newest as (

    select
        week,
        known_at
    from {{ ref('int_week_spine') }}
    where week = cast('{{ run_last_week() }}' as date)

),

records as (

    select records.*
    from newest
    inner join {{ ref('int_source_account_versions') }} as records on {{ valid_at('records', 'newest.known_at') }}

),

linked as (

    select
        records.source_kind,
        records.source_system,
        records.source_instance,
        records.source_account_id,
        records.owner_email,
        records.valid_from,
        links.account_id
    from newest
    inner join {{ ref('int_account_links_weekly') }} as links on newest.week = links.week
    inner join records
        on
            links.source_kind = records.source_kind
            and links.source_system = records.source_system
            and links.source_instance = records.source_instance
            and links.source_account_id = records.source_account_id
    where not records.is_deleted

),

ranked_owners as (

    select
        account_id,
        lower(trim(owner_email)) as owner_email,
        row_number() over (
            partition by account_id
            order by
                case source_kind when 'crm' then 1 else 2 end asc nulls last,
                valid_from desc nulls last,
                source_system asc nulls last,
                source_instance asc nulls last,
                source_account_id asc nulls last
        ) as preference
    from linked
    where source_kind in ('crm', 'cs') and trim(owner_email) <> ''

)

select
    accounts.account_id,
    records.name as account_name,
    records.domain,
    records.country,
    records.industry,
    owners.owner_email,
    parents.parent_account_id,
    case when accounts.merged_at <= newest.known_at then accounts.merged_into_account_id end as merged_into_account_id,
    accounts.first_seen_at,
    accounts.anchor_source_system,
    accounts.anchor_source_account_id
from newest
inner join {{ source('landing', 'identity_account') }} as accounts on accounts.first_seen_at <= newest.known_at
left join records
    on
        accounts.anchor_source_kind = records.source_kind
        and accounts.anchor_source_system = records.source_system
        and accounts.anchor_source_instance = records.source_instance
        and accounts.anchor_source_account_id = records.source_account_id
left join ranked_owners as owners on accounts.account_id = owners.account_id and owners.preference = 1
left join {{ ref('int_account_parents_weekly') }} as parents
    on newest.week = parents.week and accounts.account_id = parents.account_id
