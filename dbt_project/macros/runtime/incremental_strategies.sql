{# Our three incremental strategies. Each deletes what this run is about, then inserts, in one transaction. #}

{#
  overwrite_weeks: the window of the run's variables, whatever the new rows are, so that an account that vanished
  vanishes and a week that became empty empties. `merge` and `delete+insert` leave both behind. A row is of the week in
  its column `week`, or in the one that the model names as unique_key; rows older than that column are of none.
#}
{% macro get_incremental_overwrite_weeks_sql(arg_dict) %}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    {%- set week = (arg_dict['unique_key'] or ['week']) | first -%}
    delete from {{ arg_dict['target_relation'] }}
    where {{ of_run_weeks(week) }};

    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{% endmacro %}

{# overwrite_keys: every row of the keys that the new rows have. The key may be shorter than the grain. #}
{% macro get_incremental_overwrite_keys_sql(arg_dict) %}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    delete from {{ arg_dict['target_relation'] }} as old
    where exists (
        select 1 from {{ arg_dict['temp_relation'] }} as fresh
        where {% for column in arg_dict['unique_key'] -%}
            fresh.{{ column }} = old.{{ column }}{{ ' and ' if not loop.last }}
        {%- endfor %}
    );

    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{% endmacro %}

{#
  overwrite_loads: every row of the pending loads, whatever the new rows are; a retry of a half-integrated load leaves nothing behind.
  Nothing older is read: matching keys against 50 million events took longer with each week.
#}
{% macro get_incremental_overwrite_loads_sql(arg_dict) %}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    delete from {{ arg_dict['target_relation'] }}
    where {{ of_pending_loads('landing.source_load') }};

    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{% endmacro %}
