with links as (

    select
        weeks.week,
        links.account_id,
        links.source_kind,
        links.source_system,
        links.source_instance,
        links.source_account_id,
        links.confidence,
        links.valid_from
    from {{ ref('int_week_spine') }} as weeks
    inner join {{ source('landing', 'identity_link') }} as links on {{ valid_at('links', 'weeks.known_at') }}

),

kinds_without_accounts as (

    -- a kind that sends no account records of its own names those of its system's other kinds
    select
        week,
        source_kind,
        source_system,
        source_instance
    from {{ ref('int_sources_weekly') }}
    group by week, source_kind, source_system, source_instance
    having sum(case when table_name = 'source_account' then records else 0 end) = 0

),

known as (

    select
        week,
        account_id,
        source_kind,
        source_system,
        source_instance,
        source_account_id,
        confidence,
        valid_from,
        0 as is_borrowed
    from links
    union all
    select
        links.week,
        links.account_id,
        kinds.source_kind,
        links.source_system,
        links.source_instance,
        links.source_account_id,
        links.confidence,
        links.valid_from,
        1 as is_borrowed
    from links
    inner join kinds_without_accounts as kinds
        on
            links.week = kinds.week
            and links.source_system = kinds.source_system
            and links.source_instance = kinds.source_instance
            and links.source_kind <> kinds.source_kind

),

ranked as (

    select
        *,
        row_number() over (
            partition by week, source_kind, source_system, source_instance, source_account_id
            order by
                is_borrowed asc nulls last,
                confidence desc nulls last,
                valid_from desc nulls last,
                account_id asc nulls last
        ) as preference
    from known

)

select
    week,
    account_id,
    source_kind,
    source_system,
    source_instance,
    source_account_id,
    confidence
from ranked
where preference = 1
