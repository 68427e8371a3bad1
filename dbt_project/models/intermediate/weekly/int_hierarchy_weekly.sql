{%- set summed = {
    'arr_reporting': 'int_commercial_weekly', 'active_users_28d': 'int_usage_weekly', 'tickets_opened_91d': 'int_support_weekly',
    'open_risks': 'int_risk_weekly',
} -%}
with naming_systems as (

    -- a system that names no parent at all keeps no hierarchy: of its accounts nothing is known
    select distinct
        weeks.week,
        records.source_kind,
        records.source_system,
        records.source_instance
    from {{ ref('int_week_spine') }} as weeks
    inner join {{ ref('int_source_account_versions') }} as records on {{ valid_at('records', 'weeks.known_at') }}
    where not records.is_deleted and records.parent_source_account_id is not null

),

placed_accounts as (

    select distinct
        links.week,
        links.account_id
    from {{ ref('int_account_links_weekly') }} as links
    inner join naming_systems
        on
            links.week = naming_systems.week
            and links.source_kind = naming_systems.source_kind
            and links.source_system = naming_systems.source_system
            and links.source_instance = naming_systems.source_instance

),

families as (

    select * from {{ ref('int_account_families_weekly') }}

),

tops as (

    select
        week,
        member_account_id as account_id,
        head_account_id as ultimate_parent_account_id,
        row_number() over (
            partition by week, member_account_id order by steps desc nulls last, head_account_id asc nulls last
        ) as preference
    from families

),

sums as (

    select
        families.week,
        families.head_account_id as account_id,
        {% for column in summed %}
        sum({{ column }}.{{ column }}) as {{ column }},
        cast(count({{ column }}.{{ column }}) as bigint) as {{ column }}_accounts,
        {% endfor %}
        {{ count_where('families.steps > 0') }} as child_accounts
    from families
    {% for column, model in summed.items() %}
    left join {{ ref(model) }} as {{ column }}
        on families.week = {{ column }}.week and families.member_account_id = {{ column }}.account_id
    {% endfor %}
    group by families.week, families.head_account_id

)

select
    spine.account_id,
    spine.week,
    parents.parent_account_id,
    {% for column in summed %}
    case
        when placed_accounts.account_id is not null
            then cast(sums.{{ column }} as {{ 'decimal(18, 2)' if column == 'arr_reporting' else 'bigint' }})
    end as {{ column }}_rolled_up,
    case when placed_accounts.account_id is not null then sums.{{ column }}_accounts end as {{ column }}_rolled_up_accounts,
    {% endfor %}
    case when placed_accounts.account_id is not null then tops.ultimate_parent_account_id end as ultimate_parent_account_id,
    case when placed_accounts.account_id is not null then sums.child_accounts end as child_accounts,
    case
        when placed_accounts.account_id is not null then coalesce(parents.is_in_parent_circle, false)
    end as is_in_parent_circle
from {{ ref('int_account_week_spine') }} as spine
inner join tops on spine.week = tops.week and spine.account_id = tops.account_id and tops.preference = 1
inner join sums on spine.week = sums.week and spine.account_id = sums.account_id
left join placed_accounts on spine.week = placed_accounts.week and spine.account_id = placed_accounts.account_id
left join {{ ref('int_account_parents_weekly') }} as parents
    on spine.week = parents.week and spine.account_id = parents.account_id
