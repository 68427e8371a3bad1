{#
  The grain holds: no row twice, no part of the key null. One test for what would be one per column. A table that keeps earlier runs'
  weeks names the column that tells them as `slice`: a build tests the weeks it made, not all of them each week.
#}
{% test grain(model, columns, slice=none) %}
select
    {{ columns | join(', ') }},
    count(*) as rows_with_key
from {{ model }}
{% if slice is not none -%}
where {{ of_run_weeks(slice) }}
{% endif -%}
group by {{ columns | join(', ') }}
having
    count(*) > 1
    {% for column in columns %}
    or {{ column }} is null
    {% endfor %}
{% endtest %}
