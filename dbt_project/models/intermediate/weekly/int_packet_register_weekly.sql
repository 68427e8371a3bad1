{{ config(materialized='view') }}
with known_risks as (

    {{ known_records(ref('int_week_spine'), ref('int_account_links_weekly'), ref('int_risk_versions')) }}

),

dated as (

    select
        *,
        {{ lifecycle_time('known_risks', 'closed_at', 'risk', 'as_of_at', 'known_at') }} as closed_then_at
    from known_risks
    where identified_at < as_of_at

)

select
    account_id,
    week,
    source_kind,
    source_system,
    source_instance,
    risk_id,
    load_id,
    title,
    category,
    -- what was closed after as_of_at was open then
    case
        when closed_then_at is not null then 'closed'
        when closed_at is not null and status = 'closed' then 'open'
        else status
    end as status,
    likelihood,
    impact,
    cast(identified_at as date) as identified_on,
    cast(closed_then_at as date) as closed_on
from dated
