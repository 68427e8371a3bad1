-- A family whose rows do not agree on who belongs to it, or whose numbers are not those of its members.
select min(account_id) as account_id, week
from account_health_weekly
where week in (select week from run_weeks)
group by week, family_id
having count(*) <> max(family_accounts)
    or count(score) <> max(family_scored_accounts)
    or max(family_accounts) <> min(family_accounts)
    or max(family_score) is distinct from min(family_score)
    or (count(score) > 0 and (max(family_score) < min(score) - 0.000001 or max(family_score) > max(score) + 0.000001))
    or (count(score) = 0 and max(family_score) is not null)
order by week, account_id
