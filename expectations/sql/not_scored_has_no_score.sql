-- Accounts below the coverage floor that carry a score all the same: a guess.
select account_id, week
from account_health_weekly
where week in (select week from run_weeks) and tier = 'not_scored' and score is not null
order by week, account_id
