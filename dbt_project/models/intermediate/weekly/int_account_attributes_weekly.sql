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

ranked_parents as (

    select
        records.week,
        records.account_id,
        parents.account_id as parent_account_id,
        row_number() over (
            partition by records.week, records.account_id
            order by
                case records.source_kind when 'crm' then 1 when 'billing' then 2 when 'cs' then 3 else 4 end asc nulls last,
                records.valid_from desc nulls last,
                records.source_system asc nulls last,
                records.source_instance asc nulls last,
                records.source_account_id asc nulls last
        ) as preference
    from records
    inner join {{ ref('int_account_links_weekly') }} as parents
        on
            records.week = parents.week
            and records.source_kind = parents.source_kind
            and records.source_system = parents.source_system
            and records.source_instance = parents.source_instance
            and records.parent_source_account_id = parents.source_account_id
    where parents.account_id <> records.account_id

)

select
    spine.account_id,
    spine.week,
    owners.owner_email,
    parents.parent_account_id
from {{ ref('int_account_week_spine') }} as spine
left join ranked_owners as owners
    on spine.week = owners.week and spine.account_id = owners.account_id and owners.preference = 1
left join ranked_parents as parents
    on spine.week = parents.week and spine.account_id = parents.account_id and parents.preference = 1
