{{ config(materialized='table') }}
select
    links.account_id,
    treatments.source_system,
    treatments.source_instance,
    treatments.treatment_id,
    treatments.strategy,
    treatments.arm,
    treatments.is_randomised,
    treatments.assigned_at,
    treatments.ended_at,
    treatments.available_at
from {{ ref('int_week_spine') }} as newest
inner join {{ ref('int_treatment') }} as treatments
    on treatments.available_at <= newest.known_at and treatments.assigned_at < newest.as_of_at
inner join {{ ref('int_account_links_weekly') }} as links
    on
        newest.week = links.week
        and treatments.source_kind = links.source_kind
        and treatments.source_system = links.source_system
        and treatments.source_instance = links.source_instance
        and treatments.source_account_id = links.source_account_id
where newest.week = cast('{{ run_last_week() }}' as date) and not treatments.is_deleted
