{%- set spine = ref('int_account_week_spine') -%}
{%- set links = ref('int_account_links_weekly') -%}
{#- Literals, not a join: the engine skips what lies before the first of the windows. -#}
{%- set last_week = run_date(run_last_week()) -%}
{%- set first_week_in_28d = run_date(run_first_week(), -21) -%}
{%- set first_week_in_56d = run_date(run_first_week(), -49) -%}
-- Windows of whole weeks end at a Monday 00:00 UTC, so that days and weeks of use can be counted instead of single events.
-- Each is put into the weeks it counts for by an offset: a join on a range of weeks would compare everything with everything.
with offsets as (

    {% for weeks_later in range(8) -%}
    select {{ weeks_later }} as weeks_later
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

user_weeks as (

    select distinct
        links.week,
        links.account_id,
        uses.source_kind,
        uses.source_system,
        uses.source_instance,
        uses.user_key,
        uses.usage_week
    from {{ ref('int_usage_user_weeks') }} as uses
    inner join offsets on offsets.weeks_later < 4
    inner join {{ links }} as links
        on
            links.week = {{ plus_days_as_date('uses.usage_week', '7 * offsets.weeks_later') }}
            and uses.source_kind = links.source_kind
            and uses.source_system = links.source_system
            and uses.source_instance = links.source_instance
            and uses.source_account_id = links.source_account_id
    where uses.usage_week >= {{ first_week_in_28d }} and uses.usage_week <= {{ last_week }} and uses.counts_from_week <= links.week

),

user_counts as (

    select
        week,
        account_id,
        source_kind,
        source_system,
        source_instance,
        user_key,
        count(*) as active_weeks
    from user_weeks
    group by week, account_id, source_kind, source_system, source_instance, user_key

),

users as (

    select
        week,
        account_id,
        cast(count(*) as bigint) as active_users_28d,
        sum(active_weeks) as user_weeks_28d
    from user_counts
    group by week, account_id

),

feature_weeks as (

    select distinct
        links.week,
        links.account_id,
        uses.feature_key
    from {{ ref('int_usage_feature_weeks') }} as uses
    inner join offsets on offsets.weeks_later < 4
    inner join {{ links }} as links
        on
            links.week = {{ plus_days_as_date('uses.usage_week', '7 * offsets.weeks_later') }}
            and uses.source_kind = links.source_kind
            and uses.source_system = links.source_system
            and uses.source_instance = links.source_instance
            and uses.source_account_id = links.source_account_id
    where uses.usage_week >= {{ first_week_in_28d }} and uses.usage_week <= {{ last_week }} and uses.counts_from_week <= links.week

),

first_uses as (

    select
        links.week,
        links.account_id,
        uses.feature_key,
        min(uses.first_used_week) as first_used_week
    from {{ ref('int_usage_feature_starts') }} as uses
    inner join {{ links }} as links
        on
            uses.counts_from_week <= links.week
            and uses.source_kind = links.source_kind
            and uses.source_system = links.source_system
            and uses.source_instance = links.source_instance
            and uses.source_account_id = links.source_account_id
    group by links.week, links.account_id, uses.feature_key

),

features as (

    select
        feature_weeks.week,
        feature_weeks.account_id,
        cast(count(*) as bigint) as feature_breadth_28d,
        {{ count_where('first_uses.first_used_week >= ' ~ plus_days_as_date('feature_weeks.week', -21)) }} as features_first_used_28d
    from feature_weeks
    inner join first_uses
        on
            feature_weeks.week = first_uses.week
            and feature_weeks.account_id = first_uses.account_id
            and feature_weeks.feature_key = first_uses.feature_key
    group by feature_weeks.week, feature_weeks.account_id

),

day_parts as (

    select
        links.week,
        links.account_id,
        {{ plus_days('links.week', 7) }} as as_of_at,
        days.usage_date,
        days.is_roll_up,
        sum(days.events) as events,
        max(days.active_users) as active_users,
        max(days.features_used) as features_used
    from {{ ref('int_usage_days') }} as days
    cross join offsets
    inner join {{ links }} as links
        on
            links.week = {{ plus_days_as_date(week_start('days.usage_date'), '7 * offsets.weeks_later') }}
            and days.source_kind = links.source_kind
            and days.source_system = links.source_system
            and days.source_instance = links.source_instance
            and days.source_account_id = links.source_account_id
    where days.usage_date >= {{ first_week_in_56d }} and days.counts_from_week <= links.week
    group by links.week, links.account_id, days.usage_date, days.is_roll_up

),

preferred as (

    -- events win over a roll-up of the same account and day: nothing is counted twice
    select
        *,
        row_number() over (
            partition by week, account_id, usage_date order by is_roll_up asc nulls last
        ) as preference
    from day_parts

),

days as (

    select
        *,
        usage_date >= {{ plus_days_as_date('as_of_at', -28) }} as is_in_28d
    from preferred
    where preference = 1 and events > 0

),

last_uses as (

    select
        links.week,
        links.account_id,
        max(uses.last_occurred_at) as last_occurred_at
    from {{ ref('int_usage_account_weeks') }} as uses
    inner join {{ links }} as links
        on
            uses.counts_from_week <= links.week
            and uses.source_kind = links.source_kind
            and uses.source_system = links.source_system
            and uses.source_instance = links.source_instance
            and uses.source_account_id = links.source_account_id
    group by links.week, links.account_id

),

activity as (

    select
        week,
        account_id,
        {{ count_where('is_in_28d') }} as active_days_28d,
        coalesce(sum(case when is_in_28d then events end), 0) as events_28d,
        coalesce(sum(case when not is_in_28d then events end), 0) as events_28d_before,
        max(case when is_in_28d and is_roll_up then active_users end) as roll_up_users_28d,
        max(case when is_in_28d and is_roll_up then features_used end) as roll_up_features_28d
    from days
    group by week, account_id

),

roll_up_weeks as (

    -- of a roll-up distinct users over days can't be known: the busiest day is a floor
    select
        week,
        account_id,
        {{ week_start('usage_date') }} as usage_week,
        max(active_users) as active_users
    from days
    where is_in_28d and is_roll_up
    group by week, account_id, {{ week_start('usage_date') }}

),

roll_up_users as (

    select
        week,
        account_id,
        sum(active_users) as user_weeks_28d
    from roll_up_weeks
    group by week, account_id

),

counts as (

    select
        spine.account_id,
        spine.week,
        -- use by nobody we can name, or a roll-up without features, leaves the count unknown: only silence is zero
        case
            when coalesce(activity.events_28d, 0) > 0
                then {{ later_of('users.active_users_28d', 'activity.roll_up_users_28d') }}
            else 0
        end as active_users_28d,
        coalesce({{ later_of('users.user_weeks_28d', 'roll_up_users.user_weeks_28d') }}, 0) as user_weeks_28d,
        coalesce(activity.active_days_28d, 0) as active_days_28d,
        case
            when coalesce(activity.events_28d, 0) > 0
                then {{ later_of('features.feature_breadth_28d', 'activity.roll_up_features_28d') }}
            else 0
        end as feature_breadth_28d,
        case when coalesce(activity.events_28d, 0) > 0 then features.features_first_used_28d else 0 end as features_first_used_28d,
        coalesce(activity.events_28d, 0) as events_28d,
        coalesce(activity.events_28d_before, 0) as events_28d_before,
        last_uses.last_occurred_at
    from {{ spine }} as spine
    left join users on spine.week = users.week and spine.account_id = users.account_id
    left join features on spine.week = features.week and spine.account_id = features.account_id
    left join activity on spine.week = activity.week and spine.account_id = activity.account_id
    left join last_uses on spine.week = last_uses.week and spine.account_id = last_uses.account_id
    left join roll_up_users on spine.week = roll_up_users.week and spine.account_id = roll_up_users.account_id

)

select
    spine.account_id,
    spine.week,
    case when spine.knows_usage then cast(counts.active_users_28d as bigint) end as active_users_28d,
    case
        when spine.knows_usage and commercial.seats_licensed > 0
            then cast(1.0 * counts.active_users_28d / commercial.seats_licensed as double)
    end as license_utilisation,
    case when spine.knows_usage then cast(counts.active_days_28d as bigint) end as active_days_28d,
    case
        when spine.knows_usage and counts.active_users_28d > 0
            then cast(1.0 * counts.user_weeks_28d / 4 / counts.active_users_28d as double)
    end as stickiness,
    case when spine.knows_usage then cast(counts.feature_breadth_28d as bigint) end as feature_breadth_28d,
    case
        when spine.knows_usage and counts.active_users_28d > 0
            then cast(1.0 * counts.events_28d / counts.active_users_28d as double)
    end as usage_depth_28d,
    case
        when spine.knows_usage and counts.events_28d_before > 0
            then cast(1.0 * (counts.events_28d - counts.events_28d_before) / counts.events_28d_before as double)
    end as usage_change_share_4w,
    case when spine.knows_usage then cast(counts.features_first_used_28d as bigint) end as features_first_used_28d,
    case when spine.knows_usage then {{ elapsed_days('counts.last_occurred_at', 'spine.as_of_at') }} end as days_since_last_activity,
    {{ domain_status('usage', 'spine', 'counts.last_occurred_at', 'false') }} as usage_status,
    case when spine.knows_usage then {{ elapsed_days('counts.last_occurred_at', 'spine.as_of_at') }} end as usage_newest_fact_age_days
from {{ spine }} as spine
inner join counts on spine.week = counts.week and spine.account_id = counts.account_id
inner join {{ ref('int_commercial_weekly') }} as commercial
    on spine.week = commercial.week and spine.account_id = commercial.account_id
