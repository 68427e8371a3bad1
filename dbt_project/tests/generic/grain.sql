{# The grain holds: no row twice, no part of the key null. One test for what would be one per column. #}
{% test grain(model, columns) %}
select
    {{ columns | join(', ') }},
    count(*) as rows_with_key
from {{ model }}
group by {{ columns | join(', ') }}
having
    count(*) > 1
    {% for column in columns %}
    or {{ column }} is null
    {% endfor %}
{% endtest %}
