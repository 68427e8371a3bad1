{%- set spine = ref('int_account_week_spine') -%}
with answers as (

    {{ known_events(ref('int_week_spine'), ref('int_account_links_weekly'), ref('int_survey_response'), 'responded_at') }}

),

placed as (

    select
        *,
        -- points from 0 to 10, as in int_sentiment_weekly
        case
            when scale_min in (0, 1) and scale_max = 10 then score
            when scale_max > scale_min then 10.0 * (score - scale_min) / (scale_max - scale_min)
        end as points,
        coalesce(nullif(lower(trim(contact_email)), ''), source_system || ' ' || source_instance || ' ' || response_id) as person
    from answers
    where survey_type = 'nps'

),

ranked as (

    select
        *,
        row_number() over (
            partition by week, account_id, person order by responded_at desc nulls last, response_id desc nulls last
        ) as recency,
        lead(points) over (
            partition by week, account_id, person order by responded_at desc nulls last, response_id desc nulls last
        ) as points_before
    from placed

),

newest as (

    -- points have two decimals at most: whole hundredths sum exactly, in whatever order
    select
        week,
        account_id,
        cast(1.0 * sum(cast(round(100 * points) as bigint)) / count(points) / 100 as double) as nps_points_90d,
        cast(1.0 * sum(cast(round(100 * (points - points_before)) as bigint)) / count(points - points_before) / 100 as double)
            as nps_points_change_90d
    from ranked
    where recency = 1 and {{ in_window('responded_at', 'as_of_at', 90) }}
    group by week, account_id

)

select
    spine.account_id,
    spine.week,
    newest.nps_points_90d,
    newest.nps_points_change_90d
from {{ spine }} as spine
left join newest on spine.week = newest.week and spine.account_id = newest.account_id
