{# Who stands above whom. Written without recursion, which not every engine has: each doubling looks twice as far up. #}

{#
  Every account above an account, and how many steps up, from rows of week, account_id and parent_account_id: up to 32 steps. In a circle
  an account stands above itself. Gives CTEs, the last of which is `<name>`.
#}
{% macro ancestors(edges, name) -%}
{%- set doublings = 5 -%}
{{ name }}_1 as (

    select
        week,
        account_id,
        parent_account_id as ancestor_account_id,
        1 as steps
    from {{ edges }}

),
{% for doubling in range(1, doublings + 1) -%}
{%- set below = name ~ '_' ~ 2 ** (doubling - 1) %}
{{ name if doubling == doublings else name ~ '_' ~ 2 ** doubling }} as (

    select * from {{ below }}
    union
    select
        nearer.week,
        nearer.account_id,
        farther.ancestor_account_id,
        nearer.steps + farther.steps as steps
    from {{ below }} as nearer
    inner join {{ below }} as farther
        on nearer.week = farther.week and nearer.ancestor_account_id = farther.account_id

){{ ',' if not loop.last }}
{% endfor -%}
{%- endmacro %}
