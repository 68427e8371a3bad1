{%- set spine = ref('int_account_week_spine') -%}
with deals as (

    {{ known_records(ref('int_week_spine'), ref('int_account_links_weekly'), ref('int_crm_opportunity_versions')) }}

),

open_renewals as (

    select
        *,
        {{ lifecycle_time('deals', 'closed_at', 'crm', 'as_of_at', 'known_at') }} as closed_then_at
    from deals
    where type = 'renewal' and not is_partial and (source_created_at is null or source_created_at < as_of_at)

),

-- The day it was to be closed on as known 91 days before, or when it was first known in full since.
compared as (

    select
        renewals.week,
        renewals.account_id,
        renewals.source_system,
        renewals.source_instance,
        renewals.opportunity_id,
        renewals.close_date,
        earlier.close_date as close_date_before,
        row_number() over (
            partition by
                renewals.week, renewals.account_id, renewals.source_system, renewals.source_instance, renewals.opportunity_id
            order by earlier.valid_from asc nulls last
        ) as earliness
    from open_renewals as renewals
    inner join {{ ref('int_crm_opportunity_versions') }} as earlier
        on
            renewals.source_kind = earlier.source_kind
            and renewals.source_system = earlier.source_system
            and renewals.source_instance = earlier.source_instance
            and renewals.opportunity_id = earlier.opportunity_id
            and earlier.valid_from <= renewals.known_at
            and (earlier.valid_to is null or earlier.valid_to > {{ plus_days('renewals.known_at', -91) }})
    where
        renewals.closed_then_at is null
        and (renewals.closed_at is not null or not coalesce(renewals.is_closed, false))
        and not earlier.is_partial
        and not earlier.is_deleted

),

pushes as (

    select
        week,
        account_id,
        max({{ days_between_dates('close_date_before', 'close_date') }}) as renewal_pushed_days_91d
    from compared
    where earliness = 1
    group by week, account_id

)

select
    spine.account_id,
    spine.week,
    cast(pushes.renewal_pushed_days_91d as bigint) as renewal_pushed_days_91d
from {{ spine }} as spine
left join pushes on spine.week = pushes.week and spine.account_id = pushes.account_id
