{# No fan-out and no loss: exactly the spine's accounts in each week of the run. #}
{% test one_row_per_spine_row(model, spine) %}
with rows_of_model as (

    select
        account_id,
        week,
        count(*) as model_rows
    from {{ model }}
    where week in (select weeks.week from {{ ref('int_week_spine') }} as weeks)
    group by account_id, week

)

select
    coalesce(spine.account_id, rows_of_model.account_id) as account_id,
    coalesce(spine.week, rows_of_model.week) as week,
    rows_of_model.model_rows
from {{ spine }} as spine
full outer join rows_of_model on spine.account_id = rows_of_model.account_id and spine.week = rows_of_model.week
where spine.account_id is null or rows_of_model.account_id is null or rows_of_model.model_rows <> 1
{% endtest %}
