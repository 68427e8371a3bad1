{{ config(
    materialized='incremental',
    incremental_strategy='overwrite_weeks',
    on_schema_change='append_new_columns',
    full_refresh=false,
) }}
select
    spine.account_id,
    spine.week,
    case
        when commercial.account_tenure_days < 90 then 'onboarding'
        when commercial.account_tenure_days >= 90 then 'established'
    end as lifecycle_stage,
    attributes.owner_email,
    attributes.crm_segment,
    hierarchy.parent_account_id,
    commercial.currency,
    commercial.account_tenure_days,
    commercial.arr,
    commercial.arr_reporting,
    commercial.seats_licensed,
    commercial.mrr_change_share_90d,
    commercial.mrr_movement,
    commercial.days_to_renewal,
    renewals.renewal_stage,
    renewals.has_open_renewal_opportunity,
    commercial.is_cancellation_scheduled,
    pushes.renewal_pushed_days_91d,
    companies.employee_count_change_share_365d,
    companies.has_parent_changed_365d,
    commercial.invoiced_amount_91d,
    commercial.invoices_91d,
    commercial.days_since_last_invoice,
    commercial.commercial_status,
    commercial.commercial_newest_fact_age_days,
    payment.failed_payment_count_28d,
    payment.overdue_amount,
    payment.max_days_past_due,
    payment.late_payment_share_365d,
    payment.payment_status,
    payment.payment_newest_fact_age_days,
    usage.active_users_28d,
    usage.license_utilisation,
    usage.active_days_28d,
    usage.stickiness,
    usage.feature_breadth_28d,
    usage.usage_depth_28d,
    usage.usage_change_share_4w,
    usage.features_first_used_28d,
    usage.days_since_last_activity,
    comparisons.active_users_change_share_4w,
    comparisons.top_user_events_share_28d,
    comparisons.usage_change_share_4w_year_before,
    comparisons.workspaces_started_56d,
    usage.usage_status,
    usage.usage_newest_fact_age_days,
    support.tickets_opened_28d,
    support.tickets_opened_91d,
    support.open_backlog,
    support.oldest_open_ticket_days,
    support.unreplied_open_tickets,
    support.first_reply_minutes_median_91d,
    support.full_resolution_minutes_median_91d,
    reopenings.reopen_rate_91d,
    support.urgent_high_share_91d,
    support.csat_91d,
    tickets.oldest_open_high_priority_ticket_days,
    tickets.ticket_baseline_28d,
    tickets.ticket_volume_ratio_28d,
    tickets.defect_tickets_28d,
    tickets.escalated_open_tickets,
    support.support_status,
    support.support_newest_fact_age_days,
    engagement.days_since_last_two_way_touch,
    engagement.meetings_91d,
    engagement.engaged_contacts_91d,
    contacts.has_active_champion,
    contacts.has_exec_sponsor,
    contacts.champion_left_180d,
    attributes.owner_changes_365d,
    people.sponsor_left_90d,
    people.sponsor_meetings_missed_91d,
    people.days_since_last_sponsor_touch,
    silence.silent_channels_60d,
    engagement.engagement_status,
    engagement.engagement_newest_fact_age_days,
    sentiment.nps_account_90d,
    sentiment.nps_answers_90d,
    sentiment.csm_sentiment,
    sentiment.csm_sentiment_age_days,
    texts.risk_phrase_count_91d,
    texts.text_sentiment_91d,
    points.nps_points_90d,
    points.nps_points_change_90d,
    phrases.onboarding_phrases_28d,
    phrases.adoption_phrases_28d,
    phrases.value_outcome_phrases_28d,
    phrases.support_phrases_28d,
    phrases.product_quality_phrases_28d,
    phrases.sentiment_phrases_28d,
    phrases.engagement_silence_phrases_28d,
    phrases.sponsor_stakeholder_phrases_28d,
    phrases.commercial_payment_phrases_28d,
    phrases.competitive_phrases_28d,
    phrases.corporate_change_phrases_28d,
    phrases.delivery_phrases_28d,
    phrases.renewal_posture_phrases_28d,
    phrases.expansion_phrases_28d,
    sentiment.sentiment_status,
    sentiment.sentiment_newest_fact_age_days,
    outcomes.goals_on_track_share,
    outcomes.overdue_goals,
    outcomes.days_since_goal_validated,
    outcomes.milestones_overdue_share,
    outcomes.onboarding_complete,
    slips.max_milestone_slip_days,
    slips.off_track_projects,
    slips.migration_projects,
    outcomes.outcomes_status,
    outcomes.outcomes_newest_fact_age_days,
    risk.open_risks,
    risk.max_open_risk_severity,
    risk.risk_status,
    risk.risk_newest_fact_age_days,
    hierarchy.ultimate_parent_account_id,
    hierarchy.child_accounts,
    hierarchy.is_in_parent_circle,
    hierarchy.arr_reporting_rolled_up,
    hierarchy.arr_reporting_rolled_up_accounts,
    hierarchy.active_users_28d_rolled_up,
    hierarchy.active_users_28d_rolled_up_accounts,
    hierarchy.tickets_opened_91d_rolled_up,
    hierarchy.tickets_opened_91d_rolled_up_accounts,
    hierarchy.open_risks_rolled_up,
    hierarchy.open_risks_rolled_up_accounts,
    spine.as_of_at,
    spine.known_at
from {{ ref('int_account_week_spine') }} as spine
inner join {{ ref('int_account_attributes_weekly') }} as attributes
    on spine.week = attributes.week and spine.account_id = attributes.account_id
inner join {{ ref('int_commercial_weekly') }} as commercial
    on spine.week = commercial.week and spine.account_id = commercial.account_id
inner join {{ ref('int_payment_weekly') }} as payment
    on spine.week = payment.week and spine.account_id = payment.account_id
inner join {{ ref('int_usage_weekly') }} as usage
    on spine.week = usage.week and spine.account_id = usage.account_id
inner join {{ ref('int_support_weekly') }} as support
    on spine.week = support.week and spine.account_id = support.account_id
inner join {{ ref('int_engagement_weekly') }} as engagement
    on spine.week = engagement.week and spine.account_id = engagement.account_id
inner join {{ ref('int_sentiment_weekly') }} as sentiment
    on spine.week = sentiment.week and spine.account_id = sentiment.account_id
inner join {{ ref('int_text_weekly') }} as texts
    on spine.week = texts.week and spine.account_id = texts.account_id
inner join {{ ref('int_outcomes_weekly') }} as outcomes
    on spine.week = outcomes.week and spine.account_id = outcomes.account_id
inner join {{ ref('int_risk_weekly') }} as risk
    on spine.week = risk.week and spine.account_id = risk.account_id
inner join {{ ref('int_renewals_weekly') }} as renewals
    on spine.week = renewals.week and spine.account_id = renewals.account_id
inner join {{ ref('int_ticket_reopenings_weekly') }} as reopenings
    on spine.week = reopenings.week and spine.account_id = reopenings.account_id
inner join {{ ref('int_contact_roles_weekly') }} as contacts
    on spine.week = contacts.week and spine.account_id = contacts.account_id
inner join {{ ref('int_hierarchy_weekly') }} as hierarchy
    on spine.week = hierarchy.week and spine.account_id = hierarchy.account_id
inner join {{ ref('int_renewal_pushes_weekly') }} as pushes
    on spine.week = pushes.week and spine.account_id = pushes.account_id
inner join {{ ref('int_company_changes_weekly') }} as companies
    on spine.week = companies.week and spine.account_id = companies.account_id
inner join {{ ref('int_usage_comparisons_weekly') }} as comparisons
    on spine.week = comparisons.week and spine.account_id = comparisons.account_id
inner join {{ ref('int_ticket_pressure_weekly') }} as tickets
    on spine.week = tickets.week and spine.account_id = tickets.account_id
inner join {{ ref('int_stakeholder_changes_weekly') }} as people
    on spine.week = people.week and spine.account_id = people.account_id
inner join {{ ref('int_silence_weekly') }} as silence
    on spine.week = silence.week and spine.account_id = silence.account_id
inner join {{ ref('int_nps_points_weekly') }} as points
    on spine.week = points.week and spine.account_id = points.account_id
inner join {{ ref('int_text_phrase_counts_weekly') }} as phrases
    on spine.week = phrases.week and spine.account_id = phrases.account_id
inner join {{ ref('int_project_slips_weekly') }} as slips
    on spine.week = slips.week and spine.account_id = slips.account_id
