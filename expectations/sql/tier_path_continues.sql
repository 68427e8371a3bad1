-- The tier path is a fold: each week's previous tier is the tier of the week before.
select later.account_id, later.week
from account_health_weekly as later
inner join account_health_weekly as earlier
    on earlier.account_id = later.account_id and earlier.week = later.week - 7
where later.week in (select week from run_weeks) and later.previous_tier is distinct from earlier.tier
order by later.week, later.account_id
