-- The roll-ups of use hold the events they are made of, each once: parts sum to the whole.
{{ config(meta={'dagster': {'ref': {'name': 'int_usage_days'}}}) }}
with pending as (

    select distinct load_id
    from {{ source('landing', 'source_load') }}
    where is_pending

),

events as (

    select count(*) as events
    from {{ ref('int_usage_event') }}
    where not is_deleted and load_id in (select pending.load_id from pending)

),

days as (

    select coalesce(sum(events), 0) as events
    from {{ ref('int_usage_days') }}
    where not is_roll_up and load_id in (select pending.load_id from pending)

)

select
    events.events,
    days.events as events_in_days
from events
cross join days
where events.events <> days.events
