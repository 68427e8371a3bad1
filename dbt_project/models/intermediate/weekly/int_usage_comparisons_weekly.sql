{%- set spine = ref('int_account_week_spine') -%}
{%- set links = ref('int_account_links_weekly') -%}
{#- Literals, not a join: the engine skips what lies outside of the windows, however long the history grows. -#}
{%- set first_week_in_56d = run_date(run_first_week(), -49) -%}
{%- set last_week = run_date(run_last_week()) -%}
{%- set first_day_of_year_before = run_date(run_first_week(), -49 - 364) -%}
{%- set day_after_year_before = run_date(run_last_week(), 7 - 364) -%}
{%- set same_key -%}
uses.source_kind = links.source_kind
            and uses.source_system = links.source_system
            and uses.source_instance = links.source_instance
            and uses.source_account_id = links.source_account_id
{%- endset -%}
with offsets as (

    {% for weeks_later in range(8) -%}
    select {{ weeks_later }} as weeks_later
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

user_parts as (

    select
        links.week,
        links.account_id,
        uses.source_kind,
        uses.source_system,
        uses.source_instance,
        uses.user_key,
        offsets.weeks_later < 4 as is_in_28d,
        sum(uses.events) as events
    from {{ ref('int_usage_user_weeks') }} as uses
    cross join offsets
    inner join {{ links }} as links
        on
            links.week = {{ plus_days_as_date('uses.usage_week', '7 * offsets.weeks_later') }}
            and {{ same_key }}
    where
        uses.usage_week >= {{ first_week_in_56d }}
        and uses.usage_week <= {{ last_week }}
        and uses.counts_from_week <= links.week
    group by
        links.week, links.account_id, uses.source_kind, uses.source_system, uses.source_instance, uses.user_key,
        offsets.weeks_later < 4

),

users as (

    select
        week,
        account_id,
        {{ count_where('is_in_28d') }} as users_28d,
        {{ count_where('not is_in_28d') }} as users_28d_before,
        sum(case when is_in_28d then events end) as user_events_28d,
        max(case when is_in_28d then events end) as top_user_events_28d
    from user_parts
    group by week, account_id

),

year_before as (

    select
        links.week,
        links.account_id,
        sum(case when offsets.weeks_later < 4 then uses.events end) as events_28d,
        sum(case when offsets.weeks_later >= 4 then uses.events end) as events_28d_before
    from {{ ref('int_usage_days') }} as uses
    cross join offsets
    inner join {{ links }} as links
        on
            links.week = {{ plus_days_as_date(week_start('uses.usage_date'), '364 + 7 * offsets.weeks_later') }}
            and {{ same_key }}
    where
        uses.usage_date >= {{ first_day_of_year_before }}
        and uses.usage_date < {{ day_after_year_before }}
        and uses.counts_from_week <= links.week
        and not uses.is_roll_up
    group by links.week, links.account_id

),

-- The first use may lie anywhere in the past: told by weeks of use, a tenth of the days.
first_uses as (

    select
        links.week,
        links.account_id,
        uses.source_kind,
        uses.source_system,
        uses.source_instance,
        uses.source_account_id,
        min(uses.first_used_on) as first_used_on
    from {{ ref('int_usage_account_weeks') }} as uses
    inner join {{ links }} as links on uses.counts_from_week <= links.week and {{ same_key }}
    where uses.first_used_on is not null
    group by
        links.week, links.account_id, uses.source_kind, uses.source_system, uses.source_instance, uses.source_account_id

),

workspaces as (

    -- the first of all is no move
    select
        first_uses.week,
        first_uses.account_id,
        {{ count_where('first_uses.first_used_on >= ' ~ plus_days_as_date('first_uses.week', -49)) }} as started_56d,
        {{ count_where('first_uses.first_used_on < ' ~ plus_days_as_date('first_uses.week', -49)) }} as older
    from first_uses
    group by first_uses.week, first_uses.account_id

)

select
    spine.account_id,
    spine.week,
    case
        when spine.knows_usage and users.users_28d_before > 0
            then cast(1.0 * (users.users_28d - users.users_28d_before) / users.users_28d_before as double)
    end as active_users_change_share_4w,
    case
        when spine.knows_usage and users.user_events_28d > 0
            then cast(1.0 * users.top_user_events_28d / users.user_events_28d as double)
    end as top_user_events_share_28d,
    case
        when spine.knows_usage and year_before.events_28d_before > 0
            then cast(
                1.0 * (coalesce(year_before.events_28d, 0) - year_before.events_28d_before) / year_before.events_28d_before as double
            )
    end as usage_change_share_4w_year_before,
    case
        when spine.knows_usage and workspaces.older > 0 then workspaces.started_56d
        when spine.knows_usage and workspaces.older = 0 then 0
    end as workspaces_started_56d
from {{ spine }} as spine
left join users on spine.week = users.week and spine.account_id = users.account_id
left join year_before on spine.week = year_before.week and spine.account_id = year_before.account_id
left join workspaces on spine.week = workspaces.week and spine.account_id = workspaces.account_id
