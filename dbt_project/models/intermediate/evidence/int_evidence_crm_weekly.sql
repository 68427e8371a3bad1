{%- set weeks = ref('int_week_spine') -%}
{%- set links = ref('int_account_links_weekly') -%}
with known_contacts as (

    {{ known_records(weeks, links, ref('int_crm_contact_versions')) }}

),

contacts as (

    select
        *,
        {{ lifecycle_time('known_contacts', 'left_at', 'crm', 'as_of_at', 'known_at') }} as left_then_at,
        case when source_updated_at < as_of_at then source_updated_at end as updated_then_at,
        role in ('champion', 'decision_maker', 'economic_buyer') as is_sponsor
    from known_contacts

),

known_deals as (

    {{ known_records(weeks, links, ref('int_crm_opportunity_versions')) }}

),

deals as (

    select
        *,
        {{ lifecycle_time('known_deals', 'closed_at', 'crm', 'as_of_at', 'known_at') }} as closed_then_at,
        coalesce(case when source_updated_at < as_of_at then source_updated_at end, source_created_at) as stated_then_at
    from known_deals

),

known_accounts as (

    {{ known_records(weeks, links, ref('int_source_account_versions')) }}

),

accounts as (

    select
        *,
        coalesce(case when source_updated_at < as_of_at then source_updated_at end, source_created_at, valid_from) as stated_then_at
    from known_accounts
    where source_kind = 'crm' and not is_partial

),

sets as (

    {%- set sets = {
        'sponsors_who_left': (
            'contacts', 'crm_contact', 'contact_id', 'is_sponsor and ' ~ in_window('left_then_at', 'as_of_at', 90), 'left_then_at'
        ),
        'sponsors_who_are_there': (
            'contacts', 'crm_contact', 'contact_id', 'is_sponsor and left_at is null and coalesce(is_active, true)',
            'coalesce(updated_then_at, source_created_at)'
        ),
        'open_renewals': (
            'deals', 'crm_opportunity', 'opportunity_id',
            "type = 'renewal' and closed_then_at is null and (closed_at is not null or not coalesce(is_closed, false))",
            'stated_then_at'
        ),
        'won_deals': (
            'deals', 'crm_opportunity', 'opportunity_id',
            "type in ('renewal', 'expansion') and is_won and " ~ in_window('closed_then_at', 'as_of_at', 91), 'closed_then_at'
        ),
        'crm_accounts': ('accounts', 'source_account', 'source_account_id', 'true', 'stated_then_at'),
    } %}
    {% for name, (relation, table, key, condition, observed_at) in sets.items() -%}
    select
        account_id,
        week,
        source_kind,
        source_system,
        source_instance,
        '{{ table }}' as source_table,
        {{ key }} as source_record_id,
        load_id,
        {{ observed_at }} as observed_at,
        valid_from as available_at,
        '{{ name }}' as record_set,
        cast(null as double) as value
    from {{ relation }}
    where {{ condition }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from sets
