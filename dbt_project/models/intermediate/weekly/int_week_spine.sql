with weeks as (

    {{ run_weeks() }}

),

ends as (

    select
        week,
        {{ plus_days('week', 7) }} as as_of_at
    from weeks

)

select
    week,
    as_of_at,
    {{ plus_hours('as_of_at', var('cutoff_hours')) }} as known_at
from ends
