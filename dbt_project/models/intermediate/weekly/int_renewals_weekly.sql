with versions as (

    select
        *,
        lag(stage) over (
            partition by source_kind, source_system, source_instance, opportunity_id order by valid_from nulls last
        ) as stage_before
    from {{ ref('int_crm_opportunity_versions') }}

),

known_opportunities as (

    {{ known_records(ref('int_week_spine'), ref('int_account_links_weekly'), 'versions') }}

),

dated as (

    select
        *,
        {{ lifecycle_time('known_opportunities', 'closed_at', 'crm', 'as_of_at', 'known_at') }} as closed_then_at
    from known_opportunities
    where source_created_at is null or source_created_at < as_of_at

),

open_opportunities as (

    select
        *,
        -- what was closed after as_of_at was in the stage before it
        case when closed_at is null then stage else stage_before end as stage_then
    from dated
    where closed_then_at is null and (closed_at is not null or not coalesce(is_closed, false))

),

ranked as (

    select
        *,
        row_number() over (
            partition by week, account_id
            order by
                coalesce(renewal_date, close_date) asc nulls last,
                source_system asc nulls last,
                source_instance asc nulls last,
                opportunity_id asc nulls last
        ) as preference
    from open_opportunities
    where type = 'renewal'

),

-- Of a deal whose attributes count only later the type is unknown: it may be a renewal.
untyped as (

    select distinct
        week,
        account_id
    from open_opportunities
    where is_partial

)

select
    spine.account_id,
    spine.week,
    ranked.stage_then as renewal_stage,
    case
        when not spine.is_crm_opportunity_connected then null
        when ranked.account_id is not null then true
        when untyped.account_id is null then false
    end as has_open_renewal_opportunity,
    ranked.source_kind as renewal_source_kind,
    ranked.source_system as renewal_source_system,
    ranked.source_instance as renewal_source_instance,
    ranked.opportunity_id as renewal_opportunity_id,
    ranked.load_id as renewal_load_id,
    coalesce(ranked.renewal_date, ranked.close_date) as renewal_due_date
from {{ ref('int_account_week_spine') }} as spine
left join ranked on spine.week = ranked.week and spine.account_id = ranked.account_id and ranked.preference = 1
left join untyped on spine.week = untyped.week and spine.account_id = untyped.account_id
