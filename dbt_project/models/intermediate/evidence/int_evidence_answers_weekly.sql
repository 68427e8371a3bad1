{%- set weeks = ref('int_week_spine') -%}
{%- set links = ref('int_account_links_weekly') -%}
with answers as (

    {{ known_events(weeks, links, ref('int_survey_response'), 'responded_at', 91) }}

),

tickets as (

    {{ known_records(weeks, links, ref('int_support_ticket_versions')) }}

),

-- An answer that names only its ticket counts for the account the ticket was known to be of then, as in int_support_weekly.
ticket_answers as (

    select
        tickets.week,
        tickets.account_id,
        answers.source_kind,
        answers.source_system,
        answers.source_instance,
        answers.response_id,
        answers.load_id,
        answers.survey_type,
        answers.score,
        answers.scale_min,
        answers.scale_max,
        answers.responded_at,
        answers.available_at
    from tickets
    inner join {{ ref('int_survey_response') }} as answers
        on
            tickets.source_system = answers.source_system
            and tickets.source_instance = answers.source_instance
            and tickets.ticket_id = answers.ticket_id
    where
        answers.source_account_id is null
        and not answers.is_deleted
        and answers.available_at <= tickets.known_at
        and {{ in_window('answers.responded_at', 'tickets.as_of_at', 91) }}

),

placed as (

    {% for relation in ['answers', 'ticket_answers'] -%}
    select
        account_id,
        week,
        source_kind,
        source_system,
        source_instance,
        response_id,
        load_id,
        survey_type,
        responded_at,
        available_at,
        case when scale_max > scale_min then 1.0 * (score - scale_min) / (scale_max - scale_min) end as place,
        case
            when scale_min in (0, 1) and scale_max = 10 then score
            when scale_max > scale_min then 10.0 * (score - scale_min) / (scale_max - scale_min)
        end as points
    from {{ relation }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

sets as (

    {%- set sets = {
        'nps_answers': ("survey_type = 'nps'", 'points'),
        'low_nps_answers': ("survey_type = 'nps' and points <= 6", 'points'),
        'high_nps_answers': ("survey_type = 'nps' and points >= 9", 'points'),
        'bad_csat_answers': ("survey_type = 'csat' and place < 0.5", 'null'),
        'good_csat_answers': ("survey_type = 'csat' and place >= 0.7", 'null'),
    } %}
    {% for name, (condition, value) in sets.items() -%}
    select
        account_id,
        week,
        source_kind,
        source_system,
        source_instance,
        'survey_response' as source_table,
        response_id as source_record_id,
        load_id,
        responded_at as observed_at,
        available_at,
        '{{ name }}' as record_set,
        cast({{ value }} as double) as value
    from placed
    where {{ condition }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from sets
