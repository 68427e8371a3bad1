-- The usage features in bare DuckDB SQL: landed files in, one row per account and week out; no table is kept.
-- Given: landed_events and landed_daily (views over the files), spine, links and seats (tables). A fact counts for a
-- week if it happened before its end and was available 6 hours after; of what comes twice, the first delivery counts.
with events as (

    select
        source_system,
        source_instance,
        group_id as source_account_id,
        coalesce(user_id, anonymous_id) as user_key,
        coalesce(feature_key, event_name) as feature_key,
        occurred_at,
        cast(occurred_at as date) as day,
        cast(date_trunc('week', occurred_at) as date) as use_week,
        greatest(
            cast(date_trunc('week', occurred_at) as date),
            cast(date_trunc('week', available_at - interval 6 hour - interval 1 microsecond) as date)
        ) as from_week
    from (
        select *
        from landed_events
        qualify row_number() over (
            partition by source_system, source_instance, event_id
            order by available_at, load_sequence, occurred_at, group_id, user_id, anonymous_id, feature_key, event_name
        ) = 1
    )
    where group_id is not null and not coalesce(is_deleted, false)

),

daily as (

    select
        *,
        cast(date_trunc('week', usage_date) as date) as use_week,
        greatest(
            cast(date_trunc('week', usage_date) as date),
            cast(date_trunc('week', available_at - interval 6 hour - interval 1 microsecond) as date)
        ) as from_week
    from (
        select *
        from landed_daily
        qualify row_number() over (
            partition by source_system, source_instance, source_account_id, usage_date
            order by available_at, load_sequence, active_users, events, sessions, features_used, seats_licensed
        ) = 1
    )
    where not coalesce(is_deleted, false)

),

user_weeks as (

    select source_system, source_instance, source_account_id, user_key, use_week, min(from_week) as from_week
    from events
    where user_key is not null
    group by all

),

users as (

    select week, account_id, count(*) as active_users, sum(weeks_used) as user_weeks
    from (
        select links.week, links.account_id, source_system, source_instance, user_key, count(distinct use_week) as weeks_used
        from user_weeks
        cross join range(4) as later(weeks)
        inner join links using (source_system, source_instance, source_account_id)
        where links.week = use_week + 7 * later.weeks::integer and from_week <= links.week
        group by all
    )
    group by all

),

feature_weeks as (

    select source_system, source_instance, source_account_id, feature_key, use_week, min(from_week) as from_week
    from events
    where feature_key is not null
    group by all

),

features_used as (

    select distinct links.week, links.account_id, feature_key
    from feature_weeks
    cross join range(4) as later(weeks)
    inner join links using (source_system, source_instance, source_account_id)
    where links.week = use_week + 7 * later.weeks::integer and from_week <= links.week

),

-- the earliest use known in a week: a late event moves it back from the week it counts for
feature_starts as (

    select
        *,
        min(use_week) over (
            partition by source_system, source_instance, source_account_id, feature_key order by from_week
        ) as first_week,
        lead(from_week) over (
            partition by source_system, source_instance, source_account_id, feature_key order by from_week
        ) as until_week
    from (
        select source_system, source_instance, source_account_id, feature_key, from_week, min(use_week) as use_week
        from feature_weeks
        group by all
    )

),

feature_counts as (

    select
        used.week,
        used.account_id,
        count(*) as features,
        count(*) filter (where firsts.first_week >= used.week - 21) as features_first_used
    from features_used as used
    inner join (
        select links.week, links.account_id, feature_key, min(first_week) as first_week
        from feature_starts
        inner join links using (source_system, source_instance, source_account_id)
        where links.week >= from_week and (until_week is null or links.week < until_week)
        group by all
    ) as firsts using (week, account_id, feature_key)
    group by all

),

day_parts as (

    select
        source_system, source_instance, source_account_id, day, use_week, from_week,
        false as is_roll_up, count(*) as events, null as active_users, null as features_used, max(occurred_at) as last_at
    from events
    group by all
    union all
    select
        source_system, source_instance, source_account_id, usage_date, use_week, from_week,
        true, events, active_users, features_used, usage_date + interval 1 day - interval 1 microsecond
    from daily

),

days as (

    select week, account_id, day, is_roll_up, sum(events) as events, max(active_users) as active_users, max(features_used) as features_used
    from day_parts
    cross join range(8) as later(weeks)
    inner join links using (source_system, source_instance, source_account_id)
    where links.week = use_week + 7 * later.weeks::integer and from_week <= links.week
    group by week, account_id, day, is_roll_up
    qualify row_number() over (partition by week, account_id, day order by is_roll_up) = 1

),

activity as (

    select
        week,
        account_id,
        count(*) filter (where is_recent) as active_days,
        coalesce(sum(events) filter (where is_recent), 0) as events,
        coalesce(sum(events) filter (where not is_recent), 0) as events_before,
        max(active_users) filter (where is_recent and is_roll_up) as roll_up_users,
        max(features_used) filter (where is_recent and is_roll_up) as roll_up_features
    from (select *, day >= week - 21 as is_recent from days where events > 0)
    group by all

),

roll_up_weeks as (

    select week, account_id, sum(active_users) as user_weeks
    from (
        select week, account_id, date_trunc('week', day) as use_week, max(active_users) as active_users
        from days
        where is_roll_up and events > 0 and day >= week - 21
        group by all
    )
    group by all

),

last_known as (

    select *, lead(from_week) over (partition by source_system, source_instance, source_account_id order by from_week) as until_week
    from (
        select
            source_system, source_instance, source_account_id, from_week,
            max(max(last_at)) over (partition by source_system, source_instance, source_account_id order by from_week) as last_at
        from day_parts
        where events > 0
        group by source_system, source_instance, source_account_id, from_week
    )

),

last_uses as (

    select week, account_id, max(last_at) as last_at
    from last_known
    inner join links using (source_system, source_instance, source_account_id)
    where links.week >= from_week and (until_week is null or links.week < until_week)
    group by all

),

counted as (

    select
        spine.*,
        seats.seats_licensed,
        coalesce(activity.events, 0) as events,
        coalesce(activity.events_before, 0) as events_before,
        coalesce(activity.active_days, 0) as active_days,
        coalesce(greatest(users.user_weeks, roll_up_weeks.user_weeks), 0) as user_weeks,
        case when activity.events > 0 then greatest(users.active_users, roll_up_users) else 0 end as active_users,
        case when activity.events > 0 then greatest(feature_counts.features, roll_up_features) else 0 end as features,
        case when activity.events > 0 then features_first_used else 0 end as features_first_used,
        last_uses.last_at,
        floor(date_diff('microsecond', last_at, as_of_at) / 86400000000.0) as idle_days
    from spine
    inner join seats using (week, account_id)
    left join activity using (week, account_id)
    left join users using (week, account_id)
    left join roll_up_weeks using (week, account_id)
    left join feature_counts using (week, account_id)
    left join last_uses using (week, account_id)

)

select
    account_id,
    week,
    case when knows_usage then active_users end as active_users_28d,
    case when knows_usage and seats_licensed > 0 then 1.0 * active_users / seats_licensed end as license_utilisation,
    case when knows_usage then active_days end as active_days_28d,
    case when knows_usage and active_users > 0 then 1.0 * user_weeks / 4 / active_users end as stickiness,
    case when knows_usage then features end as feature_breadth_28d,
    case when knows_usage and active_users > 0 then 1.0 * events / active_users end as usage_depth_28d,
    case when knows_usage and events_before > 0 then 1.0 * (events - events_before) / events_before end as usage_change_share_4w,
    case when knows_usage then features_first_used end as features_first_used_28d,
    case when knows_usage then idle_days end as days_since_last_activity,
    case
        when not knows_usage then 'missing'
        when last_at is null then 'zero'
        when idle_days <= 28 then 'measured'
        when usage_feed_at is null or floor(date_diff('microsecond', usage_feed_at, as_of_at) / 86400000000.0) > 28 then 'stale'
        else 'zero'
    end as usage_status,
    case when knows_usage then idle_days end as usage_newest_fact_age_days
from counted
