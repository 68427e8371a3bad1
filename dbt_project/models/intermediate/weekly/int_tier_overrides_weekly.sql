with decisions as (

    select
        weeks.week,
        overrides.source_kind,
        overrides.source_system,
        overrides.source_instance,
        overrides.source_account_id,
        overrides.override_id,
        overrides.tier,
        overrides.reason,
        overrides.approved_by,
        overrides.approved_at,
        overrides.expires_at,
        {{ lifecycle_time('overrides', 'withdrawn_at', 'review', 'weeks.as_of_at', 'weeks.known_at') }} as withdrawn_then_at
    from {{ ref('int_week_spine') }} as weeks
    inner join {{ ref('int_tier_override_versions') }} as overrides on {{ valid_at('overrides', 'weeks.known_at') }}
    where
        not overrides.is_deleted
        and overrides.approved_at < weeks.as_of_at
        and overrides.expires_at > weeks.as_of_at

),

named as (

    -- an override names our own account, wherever its anchor record belongs after merges; a company without a desk may land its
    -- overrides under the name of a system whose account ids they carry
    select
        decisions.*,
        coalesce(anchors.account_id, accounts.account_id, others.account_id) as account_id
    from decisions
    left join {{ source('landing', 'identity_account') }} as accounts on decisions.source_account_id = accounts.account_id
    left join {{ ref('int_account_links_weekly') }} as anchors
        on
            decisions.week = anchors.week
            and accounts.anchor_source_kind = anchors.source_kind
            and accounts.anchor_source_system = anchors.source_system
            and accounts.anchor_source_instance = anchors.source_instance
            and accounts.anchor_source_account_id = anchors.source_account_id
    left join {{ ref('int_account_links_weekly') }} as others
        on
            decisions.week = others.week
            and decisions.source_kind = others.source_kind
            and decisions.source_system = others.source_system
            and decisions.source_instance = others.source_instance
            and decisions.source_account_id = others.source_account_id
    where decisions.withdrawn_then_at is null

),

ranked as (

    select
        *,
        row_number() over (
            partition by week, account_id
            order by
                approved_at desc nulls last,
                override_id desc nulls last,
                source_system desc nulls last,
                source_instance desc nulls last
        ) as preference
    from named

)

select
    week,
    source_kind,
    source_system,
    source_instance,
    override_id,
    account_id,
    tier as override_tier,
    reason as override_reason,
    approved_by as override_approved_by,
    approved_at as override_approved_at,
    expires_at as override_expires_at,
    account_id is not null and preference = 1 as is_newest
from ranked
