-- Labels in a review other than that of thirteen weeks later: earlier ones nobody can know.
select account_id, week
from account_outcomes_weekly
where known_week in (select week from run_weeks) and known_week <> week + 91
order by week, account_id
