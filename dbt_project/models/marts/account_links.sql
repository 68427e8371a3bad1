{{ config(materialized='table') }}
select
    links.account_id,
    links.source_kind,
    links.source_system,
    links.source_instance,
    links.source_account_id,
    links.method,
    links.confidence,
    links.evidence,
    links.valid_from,
    case when links.valid_to <= newest.known_at then links.valid_to end as valid_to,
    links.decided_by
from {{ ref('int_week_spine') }} as newest
inner join {{ source('landing', 'identity_link') }} as links on links.valid_from <= newest.known_at
where newest.week = cast('{{ run_last_week() }}' as date)
