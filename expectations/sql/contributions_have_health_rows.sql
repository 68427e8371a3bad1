-- Contributions to a score that is not there: of an account without a row, or not scored.
select parts.account_id, parts.week, parts.measure
from score_contributions_weekly as parts
left join account_health_weekly as health
    on health.account_id = parts.account_id and health.week = parts.week
where parts.week in (select week from run_weeks)
    and (health.account_id is null or (health.tier = 'not_scored' and parts.contribution is not null))
order by parts.week, parts.account_id, parts.measure
