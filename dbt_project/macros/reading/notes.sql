{# A pulse: what a CSM thinks of the account, noted where touches are noted. It is no touch. #}
{% macro is_pulse(activity_type) -%}
    lower({{ activity_type }}) in ('pulse', 'sentiment', 'csm_pulse')
{%- endmacro %}
