with edges as (

    select
        week,
        account_id,
        parent_account_id
    from {{ ref('int_account_parents_weekly') }}
    where parent_account_id is not null

),

{{ ancestors('edges', 'above') }}

select
    week,
    account_id as member_account_id,
    account_id as head_account_id,
    0 as steps
from {{ ref('int_account_week_spine') }}
union all
select
    above.week,
    above.account_id as member_account_id,
    above.ancestor_account_id as head_account_id,
    above.steps
from above
inner join {{ ref('int_account_week_spine') }} as members
    on above.week = members.week and above.account_id = members.account_id
