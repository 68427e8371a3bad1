{%- set spine = ref('int_account_week_spine') -%}
{%- set weeks = ref('int_week_spine') -%}
{%- set links = ref('int_account_links_weekly') -%}
with answers as (

    {{ known_events(weeks, links, ref('int_survey_response'), 'responded_at') }}

),

-- A person who answers twice in the window counts once, with the newest answer; who is not named counts each time.
ranked_answers as (

    select
        *,
        row_number() over (
            partition by
                week,
                account_id,
                coalesce(nullif(lower(trim(contact_email)), ''), source_system || ' ' || source_instance || ' ' || response_id)
            order by responded_at desc nulls last, response_id desc nulls last
        ) as recency_of_person
    from answers
    where survey_type = 'nps'

),

placed as (

    select
        week,
        account_id,
        as_of_at,
        responded_at,
        -- points from 0 to 10; a scale from 1 to 10 has the same words for 9 and 6
        case
            when scale_min in (0, 1) and scale_max = 10 then score
            when scale_max > scale_min then 10.0 * (score - scale_min) / (scale_max - scale_min)
        end as points
    from ranked_answers
    where recency_of_person = 1

),

promotion as (

    select
        week,
        account_id,
        {{ count_where('points is not null and ' ~ in_window('responded_at', 'as_of_at', 90)) }} as nps_answers_90d,
        {{ count_where('points >= 9 and ' ~ in_window('responded_at', 'as_of_at', 90)) }} as promoters_90d,
        {{ count_where('points <= 6 and ' ~ in_window('responded_at', 'as_of_at', 90)) }} as detractors_90d,
        max(responded_at) as newest_fact_at
    from placed
    group by week, account_id

),

notes as (

    {{ known_events(weeks, links, ref('int_cs_note'), 'occurred_at') }}

),

pulses as (

    select
        week,
        account_id,
        occurred_at,
        note_id,
        {{ json_number('custom', 'csm_sentiment') }} as csm_sentiment
    from notes
    where custom is not null

),

ranked as (

    select
        *,
        row_number() over (
            partition by week, account_id order by occurred_at desc nulls last, note_id desc nulls last
        ) as recency
    from pulses
    where csm_sentiment >= 1 and csm_sentiment <= 5

),

newest as (

    select * from ranked
    where recency = 1

),

joined as (

    select
        spine.*,
        coalesce(promotion.nps_answers_90d, 0) as nps_answers_90d,
        promotion.promoters_90d,
        promotion.detractors_90d,
        newest.csm_sentiment,
        newest.occurred_at as pulse_at,
        {{ later_of('promotion.newest_fact_at', 'newest.occurred_at') }} as newest_fact_at
    from {{ spine }} as spine
    left join promotion on spine.week = promotion.week and spine.account_id = promotion.account_id
    left join newest on spine.week = newest.week and spine.account_id = newest.account_id

)

select
    account_id,
    week,
    case
        when nps_answers_90d > 0 then cast(100.0 * (promoters_90d - detractors_90d) / nps_answers_90d as double)
    end as nps_account_90d,
    case when is_survey_response_connected then nps_answers_90d end as nps_answers_90d,
    csm_sentiment,
    {{ elapsed_days('pulse_at', 'as_of_at') }} as csm_sentiment_age_days,
    {{ domain_status('sentiment', 'joined', 'joined.newest_fact_at') }} as sentiment_status,
    {{ elapsed_days('newest_fact_at', 'as_of_at') }} as sentiment_newest_fact_age_days
from joined
