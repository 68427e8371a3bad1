-- Without an override that holds, the effective tier is the tier by rule; with one, it is the override.
select account_id, week
from account_health_weekly
where week in (select week from run_weeks)
    and effective_tier is distinct from (
        case
            when override_tier is not null and (override_expires_at is null or override_expires_at > as_of_at)
                then override_tier
            else tier
        end
    )
order by week, account_id
