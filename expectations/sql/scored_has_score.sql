-- Accounts in a tier that only a score or a decisive fact gives, with neither.
select account_id, week
from account_health_weekly
where week in (select week from run_weeks)
    and tier <> 'not_scored' and score is null and tier_reason <> 'decisive'
order by week, account_id
