-- Weeks after a hole in the published history.
select week
from (select week, lag(week) over (order by week) as before from (select distinct week from account_health_weekly))
where before is not null and week <> before + 7
order by week
