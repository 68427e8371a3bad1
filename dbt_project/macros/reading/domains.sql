{# What each domain rests on: the kinds of source that make it known, and the landing tables whose newest fact says the feed is alive. #}
{% macro domain_sources() %}
    {{ return({
        'commercial': {'kinds': ['billing'], 'tables': ['billing_subscription', 'billing_invoice']},
        'payment': {'kinds': ['billing'], 'tables': ['billing_invoice', 'billing_payment']},
        'usage': {'kinds': ['usage'], 'tables': ['usage_event', 'usage_daily']},
        'support': {'kinds': ['support'], 'tables': ['support_ticket', 'survey_response']},
        'engagement': {'kinds': ['engagement', 'cs'], 'tables': ['cs_note']},
        'sentiment': {'kinds': ['survey', 'cs'], 'tables': ['survey_response', 'cs_note']},
        'outcomes': {'kinds': ['cs', 'projects'], 'tables': ['cs_goal', 'pm_milestone']},
        'risk': {'kinds': ['risk'], 'tables': ['risk']},
    }) }}
{% endmacro %}

{# Tables whose silence means zero only where a source that the account is linked to delivers them; a desk's answers are no survey. #}
{% macro counted_tables() %}
    {{ return({
        'billing_invoice': ['billing'],
        'billing_payment': ['billing'],
        'support_ticket': ['support'],
        'survey_response': ['survey'],
        'crm_contact': ['crm'],
        'crm_opportunity': ['crm'],
        'cs_note': ['engagement', 'cs'],
        'cs_goal': ['cs'],
        'risk': ['risk'],
    }) }}
{% endmacro %}

{#
  The status of a domain for an account and week. Silence of a source that still speaks about others is zero; a statement (a pulse, a
  goal, an open entry) that grew old is stale, and so is everything of a source that fell silent altogether.
#}
{% macro domain_status(domain, spine, newest_fact_at, is_statement='true') -%}
    {%- set limit = var('stale_domain_after_days')[domain] -%}
    {%- if domain in var('not_applicable_domains') -%}
    cast('not_applicable' as varchar)
    {%- else -%}
    case
        when not {{ spine }}.knows_{{ domain }} then 'missing'
        when {{ newest_fact_at }} is null then 'zero'
        when {{ elapsed_days(newest_fact_at, spine ~ '.as_of_at') }} <= {{ limit }} then 'measured'
        when {{ is_statement }} or {{ spine }}.{{ domain }}_feed_at is null then 'stale'
        when {{ elapsed_days(spine ~ '.' ~ domain ~ '_feed_at', spine ~ '.as_of_at') }} > {{ limit }} then 'stale'
        else 'zero'
    end
    {%- endif -%}
{%- endmacro %}

{# Whether the policy lets the domain count for the company. #}
{% macro is_applicable(domain) -%}
    {{ 'false' if domain in var('not_applicable_domains') else 'true' }}
{%- endmacro %}
