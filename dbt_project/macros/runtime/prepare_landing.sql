{#
  Before a run: the views `landing.<table>` over the files of the loads that are not integrated yet, and
  `landing.source_load`, the record of every committed load. The list of files comes from the landing's manifest, never
  from a glob: a load that is not committed does not exist.
#}
{% macro prepare_landing() %}
    {% if execute %}
        {% if flags.EMPTY and var('landing_manifest') %}
            {{ exceptions.raise_compiler_error("`dbt build --empty` would empty the warehouse and pass every test; run it without --empty.") }}
        {% endif %}
        {% do run_query('create schema if not exists landing') %}
        {% do run_query(
            'create table if not exists landing.integrated_load (load_id varchar, load_sequence bigint, integration_version varchar)'
        ) %}
        {% do _create_source_load(var('landing_manifest')) %}
        {% if _must_rebuild_history() %}
            {% do _drop_history() %}
        {% endif %}
        {% do run_query(
            'update landing.source_load set is_pending = load_id not in (select load_id from landing.integrated_load)'
        ) %}
        {% set files = {} %}
        {% for row in run_query('select table_name, path from landing.source_load where is_pending order by load_sequence, path') %}
            {% do files.setdefault(row[0], []).append(row[1]) %}
        {% endfor %}
        {% for table, contract in landing_columns().items() %}
            {% do run_query(_landing_view(table, contract['types'], files.get(table, []))) %}
        {% endfor %}
        {% set identity_files = {} %}
        {% for row in run_query("select table_name, path from landing.identity_file") %}
            {% do identity_files.update({row[0]: [row[1]]}) %}
        {% endfor %}
        {% for table, types in identity_columns().items() %}
            {% do run_query(_landing_view(table, types, identity_files.get(table, []))) %}
        {% endfor %}
    {% endif %}
{% endmacro %}

{# After a run: the pending loads are integrated, if every history model took them and no node failed. #}
{% macro record_integrated_loads(results) %}
    {% if execute and var('landing_manifest') %}
        {% set good = [] %}
        {% set bad = [] %}
        {% for result in results %}
            {% if result.status | string in ['success', 'pass', 'warn'] %}
                {% do good.append(result.node.unique_id) %}
            {% elif result.status | string != 'no-op' %}
                {% do bad.append(result.node.unique_id) %}
            {% endif %}
        {% endfor %}
        {% set missing = _history_models() | map(attribute='unique_id') | reject('in', good) | list %}
        {% if not bad and not missing %}
            {% do run_query(
                "insert into landing.integrated_load select distinct load_id, load_sequence, '" ~ var('integration_version')
                ~ "' from landing.source_load where is_pending"
            ) %}
        {% endif %}
    {% endif %}
{% endmacro %}

{% macro _create_source_load(manifest) %}
    {% set types = source_load_columns() %}
    {% if manifest %}
        {% set source = "read_parquet('" ~ manifest | replace("'", "''") ~ "')" %}
        {% set columns = [] %}
        {% for name, type in types.items() %}
            {% do columns.append('cast(' ~ name ~ ' as ' ~ type ~ ') as ' ~ name) %}
        {% endfor %}
        {% set loads = 'select ' ~ columns | join(', ') ~ ' from ' ~ source ~ " where table_name not like 'identity%'" %}
        {% set identity = 'select table_name, path from ' ~ source ~ " where table_name like 'identity%'" %}
    {% else %}
        {% set loads = _empty_select(types) %}
        {% set identity = "select cast(null as varchar) as table_name, cast(null as varchar) as path where false" %}
    {% endif %}
    {% do run_query('create or replace table landing.source_load as select *, true as is_pending from (' ~ loads ~ ')') %}
    {% do run_query('create or replace table landing.identity_file as ' ~ identity) %}
{% endmacro %}

{#
  History is made anew from the landing when nothing is recorded as integrated, when what it is made of has changed, when a load
  it holds is gone from the landing, when a load arrives out of order, or when facts of the past arrive late.
#}
{% macro _must_rebuild_history() %}
    {% set reasons = run_query(
        "with integrated as (
            select loads.*, records.integration_version
            from landing.integrated_load as records
            left join (select distinct load_id, load_sequence, loaded_at, source_kind, source_system, source_instance
                from landing.source_load) as loads on records.load_id = loads.load_id
        ), newest as (
            select source_kind, source_system, source_instance, max(load_sequence) as load_sequence, max(loaded_at) as loaded_at
            from integrated group by source_kind, source_system, source_instance
        )
        select (select count(*) from integrated) = 0
            or (select count(*) from integrated where load_id is null or integration_version <> '" ~ var('integration_version') ~ "') > 0
            or (select count(*) from landing.source_load as pending
                inner join newest on pending.source_kind = newest.source_kind and pending.source_system = newest.source_system
                    and pending.source_instance = newest.source_instance
                where pending.load_id not in (select load_id from landing.integrated_load)
                    and (pending.mode = 'historical' or pending.load_sequence < newest.load_sequence
                        or pending.loaded_at < newest.loaded_at)) > 0"
    ) %}
    {{ return(var('landing_manifest') != '' and reasons.rows[0][0]) }}
{% endmacro %}

{% macro _drop_history() %}
    {# first the record, then the tables: killed in between, the next run starts here again #}
    {% do run_query('delete from landing.integrated_load') %}
    {% for node in _history_models() %}
        {% set relation = adapter.get_relation(node.database, node.schema, node.alias) %}
        {% if relation is not none %}
            {% do adapter.drop_relation(relation) %}
        {% endif %}
    {% endfor %}
{% endmacro %}

{% macro _history_models() %}
    {% set found = [] %}
    {% for node in graph.nodes.values() %}
        {% if node.resource_type == 'model' and 'history' in node.config.tags %}
            {% do found.append(node) %}
        {% endif %}
    {% endfor %}
    {{ return(found) }}
{% endmacro %}

{% macro _landing_view(table, types, paths) %}
    {% if paths %}
        {% set quoted = [] %}
        {% for path in paths %}
            {% do quoted.append("'" ~ path | replace("'", "''") ~ "'") %}
        {% endfor %}
        {% set columns = [] %}
        {% for name, type in types.items() %}
            {% do columns.append('cast(' ~ name ~ ' as ' ~ type ~ ') as ' ~ name) %}
        {% endfor %}
        {% set body = 'select ' ~ columns | join(', ') ~ ' from read_parquet([' ~ quoted | join(', ') ~ '], union_by_name = true)' %}
    {% else %}
        {% set body = _empty_select(types) %}
    {% endif %}
    {{ return('create or replace view landing.' ~ table ~ ' as ' ~ body) }}
{% endmacro %}

{% macro _empty_select(types) %}
    {% set columns = [] %}
    {% for name, type in types.items() %}
        {% do columns.append('cast(null as ' ~ type ~ ') as ' ~ name) %}
    {% endfor %}
    {{ return('select ' ~ columns | join(', ') ~ ' where false') }}
{% endmacro %}

{% macro source_load_columns() %}
    {{ return({
        'load_sequence': 'bigint', 'load_id': 'varchar', 'source_kind': 'varchar', 'source_system': 'varchar',
        'source_instance': 'varchar', 'mode': 'varchar', 'table_name': 'varchar', 'path': 'varchar', 'rows': 'bigint',
        'is_complete': 'boolean', 'is_delivered': 'boolean', 'loaded_at': 'timestamp', 'content_sha256': 'varchar',
    }) }}
{% endmacro %}

{% macro identity_columns() %}
    {{ return({
        'identity_account': {
            'account_id': 'varchar', 'anchor_source_kind': 'varchar', 'anchor_source_system': 'varchar',
            'anchor_source_instance': 'varchar', 'anchor_source_account_id': 'varchar', 'first_seen_at': 'timestamp',
            'merged_into_account_id': 'varchar', 'merged_at': 'timestamp',
        },
        'identity_link': {
            'account_id': 'varchar', 'source_kind': 'varchar', 'source_system': 'varchar', 'source_instance': 'varchar',
            'source_account_id': 'varchar', 'method': 'varchar', 'confidence': 'double', 'evidence': 'varchar',
            'valid_from': 'timestamp', 'valid_to': 'timestamp', 'decided_by': 'varchar',
        },
        'identity_suggestion': {
            'source_kind': 'varchar', 'source_system': 'varchar', 'source_instance': 'varchar',
            'source_account_id': 'varchar', 'first_seen_at': 'timestamp', 'suggested_account_id': 'varchar',
            'suggestion_confidence': 'double', 'reason': 'varchar',
        },
    }) }}
{% endmacro %}
