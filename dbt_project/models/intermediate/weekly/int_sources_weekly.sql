with first_arrivals as (

    select
        load_id,
        min(first_available_at) as first_available_at
    from {{ ref('int_load_arrivals') }}
    group by load_id

),

loads as (

    -- a historical load is known from its first fact on: before that day the source had nothing to say
    select
        loads.*,
        case
            when loads.mode = 'historical' and first_arrivals.first_available_at < loads.loaded_at
                then first_arrivals.first_available_at
            else loads.loaded_at
        end as known_from
    from {{ source('landing', 'source_load') }} as loads
    left join first_arrivals on loads.load_id = first_arrivals.load_id
    -- a table its system never sends is not connected, however often the system reports
    where loads.is_delivered

),

known_loads as (

    select
        weeks.week,
        loads.source_kind,
        loads.source_system,
        loads.source_instance,
        loads.table_name,
        {{ count_where('loads.loaded_at <= weeks.known_at') }} as loads,
        max(case when loads.loaded_at <= weeks.known_at then loads.loaded_at end) as newest_load_at
    from {{ ref('int_week_spine') }} as weeks
    inner join loads on loads.known_from <= weeks.known_at
    group by weeks.week, loads.source_kind, loads.source_system, loads.source_instance, loads.table_name

),

known_records as (

    select
        weeks.week,
        loads.source_kind,
        loads.source_system,
        loads.source_instance,
        loads.table_name,
        cast(sum(arrivals.records) as bigint) as records,
        max(case when arrivals.newest_available_at <= weeks.known_at then arrivals.newest_available_at end) as newest_available_at,
        max(case when arrivals.occurred_week <= weeks.week then arrivals.newest_occurred_at end) as newest_fact_at
    from {{ ref('int_week_spine') }} as weeks
    inner join {{ ref('int_load_arrivals') }} as arrivals on arrivals.known_from_week <= weeks.week
    inner join loads on arrivals.load_id = loads.load_id and arrivals.table_name = loads.table_name
    group by weeks.week, loads.source_kind, loads.source_system, loads.source_instance, loads.table_name

)

select
    known_loads.week,
    known_loads.source_kind,
    known_loads.source_system,
    known_loads.source_instance,
    known_loads.table_name,
    known_loads.loads,
    known_loads.newest_load_at,
    coalesce(known_records.records, 0) as records,
    known_records.newest_available_at,
    known_records.newest_fact_at
from known_loads
left join known_records
    on
        known_loads.week = known_records.week
        and known_loads.source_kind = known_records.source_kind
        and known_loads.source_system = known_records.source_system
        and known_loads.source_instance = known_records.source_instance
        and known_loads.table_name = known_records.table_name
