-- An override is a person's act: it has a reason and somebody who approved it.
select account_id, week
from account_health_weekly
where week in (select week from run_weeks)
    and override_tier is not null and (override_approved_by is null or override_reason is null)
order by week, account_id
