with known as (

    select
        weeks.week,
        links.*,
        row_number() over (
            partition by weeks.week, links.source_system, links.source_instance, links.source_account_id
            order by links.confidence desc nulls last, links.valid_from desc nulls last, links.account_id asc nulls last
        ) as preference
    from {{ ref('int_week_spine') }} as weeks
    inner join {{ source('landing', 'identity_link') }} as links on {{ valid_at('links', 'weeks.known_at') }}

)

select
    week,
    account_id,
    source_kind,
    source_system,
    source_instance,
    source_account_id,
    confidence
from known
where preference = 1
