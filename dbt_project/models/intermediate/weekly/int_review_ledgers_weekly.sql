-- A load without an event says that nobody decided anything; no load at all says nothing.
select
    weeks.week,
    loads.source_system,
    loads.source_instance,
    min(loads.loaded_at) as first_landed_at
from {{ ref('int_week_spine') }} as weeks
inner join {{ source('landing', 'source_load') }} as loads
    on loads.table_name = 'review_event' and loads.is_delivered and loads.loaded_at <= weeks.known_at
group by weeks.week, loads.source_system, loads.source_instance
