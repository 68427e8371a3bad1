-- Weeks with far fewer accounts than the week before: a lost source looks like that, customers do not leave so.
-- Of a handful of accounts one or two may well leave at once.
with counted as (
    select week, count(*) as accounts from account_health_weekly group by week
)

select later.week
from counted as earlier
left join counted as later on later.week = earlier.week + 7
where earlier.week + 7 in (select week from run_weeks)
    and earlier.accounts >= $at_least
    and coalesce(later.accounts, 0) < (1 - $largest_fall) * earlier.accounts
order by later.week
