{#
  The versions of a mutable record, made load by load from append-only extracts.

  A row of an incremental load is a version from available_at on. A row of a historical load is up to two: from available_at on
  with its lifecycle columns only, from attributes_available_at on with all. A record missing from a complete extract is closed at that
  extract. A version that changes nothing is left out, so that a complete extract each week costs what changed. Only the keys
  of the pending loads are made again, from their kept versions and the new rows: a retry of a half-integrated load converges.
#}
{% macro record_versions(table, staged, loads) %}
{%- set contract = landing_columns()[table] -%}
{%- set key = record_key(table) -%}
{%- set own = kept_columns(table) -%}
{%- set carried = own + ['source_created_at', 'source_updated_at', 'custom'] -%}
{%- set output = key + carried + [
    'is_deleted', 'is_partial', 'is_available_at_imputed', 'load_id', 'load_sequence', 'valid_from'
] -%}
with staged as (

    select * from {{ staged }}

),

complete_extracts as (

    select load_id, load_sequence, source_kind, source_system, source_instance, loaded_at
    from {{ loads }}
    where table_name = '{{ table }}' and is_complete and is_pending

),

first_mentions as (

    select {{ key | join(', ') }}, min(load_sequence) as first_load_sequence
    from (
        select {{ key | join(', ') }}, load_sequence from staged
        {% if is_incremental() -%}
        union all
        select {{ key | join(', ') }}, load_sequence from {{ this }}
        {%- endif %}
    ) as mentions
    group by {{ key | join(', ') }}

),

missing as (

    select
        {% for column in key %}known.{{ column }}, {% endfor %}
        extracts.load_id,
        extracts.load_sequence,
        extracts.loaded_at
    from first_mentions as known
    inner join complete_extracts as extracts
        on
            known.source_kind = extracts.source_kind
            and known.source_system = extracts.source_system
            and known.source_instance = extracts.source_instance
            and known.first_load_sequence < extracts.load_sequence
    left join staged as delivered
        on extracts.load_id = delivered.load_id and {{ same_key('known', 'delivered', key) }}
    where delivered.load_id is null

),

fresh as (

    select
        {% for column in key %}{{ column }}, {% endfor %}
        {% for column in carried %}{{ column }}, {% endfor %}
        is_deleted,
        false as is_partial,
        is_available_at_imputed,
        load_id,
        load_sequence,
        attributes_available_at as valid_from
    from staged
    union all
    select
        {% for column in key %}{{ column }}, {% endfor %}
        {% for column in carried -%}
        {% if column in contract['lifecycle'] %}{{ column }}{% else %}cast(null as {{ contract['types'][column] }}) as {{ column }}{% endif %},
        {% endfor %}
        false as is_deleted,
        true as is_partial,
        is_available_at_imputed,
        load_id,
        load_sequence,
        available_at as valid_from
    from staged
    where available_at < attributes_available_at
    union all
    select
        {% for column in key %}{{ column }}, {% endfor %}
        {% for column in carried %}cast(null as {{ contract['types'][column] }}) as {{ column }}, {% endfor %}
        true as is_deleted,
        false as is_partial,
        false as is_available_at_imputed,
        load_id,
        load_sequence,
        loaded_at as valid_from
    from missing

),

candidates as (

    select
        {{ output | join(', ') }},
        {{ row_fingerprint(own + ['custom', 'is_deleted', 'is_partial']) }} as version_hash,
        1 as is_fresh
    from fresh
    {% if is_incremental() -%}
    union all
    select
        {% for column in output %}kept.{{ column }}, {% endfor %}
        kept.version_hash,
        0 as is_fresh
    from {{ this }} as kept
    where
        kept.load_id not in (select load_id from {{ loads }} where is_pending)
        and exists (select 1 from fresh where {{ same_key('fresh', 'kept', key) }})
    {%- endif %}

),

fully_known as (

    select
        *,
        min(case when not is_partial then valid_from end) over (partition by {{ key | join(', ') }}) as first_fully_known_at
    from candidates

),

ranked as (

    -- what a historical load knows less of never hides what was known in full before
    select
        *,
        row_number() over (
            partition by {{ key | join(', ') }}, valid_from
            order by
                load_sequence desc nulls last,
                is_partial asc nulls last,
                source_updated_at desc nulls last,
                version_hash asc nulls last
        ) as delivery_rank
    from fully_known
    where not is_partial or first_fully_known_at is null or valid_from < first_fully_known_at

),

compared as (

    select
        *,
        lag(version_hash) over (partition by {{ key | join(', ') }} order by valid_from nulls last) as previous_hash
    from ranked
    where delivery_rank = 1

),

versions as (

    select
        *,
        lead(valid_from) over (partition by {{ key | join(', ') }} order by valid_from nulls last) as valid_to,
        max(is_fresh) over (partition by {{ key | join(', ') }}) as is_key_changed
    from compared
    where previous_hash is null or previous_hash <> version_hash

)

select
    {{ output | join(',\n    ') }},
    valid_to,
    version_hash
from versions
where is_key_changed = 1
{% endmacro %}
