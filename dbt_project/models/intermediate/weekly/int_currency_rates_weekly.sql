with rates as (

    {{ policy_rates() }}

),

ranked as (

    select
        weeks.week,
        rates.currency,
        rates.rate,
        row_number() over (
            partition by weeks.week, rates.currency order by rates.valid_from desc nulls last
        ) as newest
    from {{ ref('int_week_spine') }} as weeks
    inner join rates on rates.valid_from < weeks.as_of_at

)

select
    week,
    currency,
    rate
from ranked
where newest = 1
