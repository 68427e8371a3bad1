-- Scored accounts whose contributions do not add up to the score, or that have none.
select health.account_id, health.week
from account_health_weekly as health
left join (
    select account_id, week, sum(contribution) as total
    from score_contributions_weekly
    where week in (select week from run_weeks)
    group by account_id, week
) as parts on parts.account_id = health.account_id and parts.week = health.week
where health.week in (select week from run_weeks)
    and health.score is not null
    and (parts.total is null or abs(parts.total - health.score) > $tolerance)
order by health.week, health.account_id
