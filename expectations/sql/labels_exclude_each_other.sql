-- Accounts with two outcomes at once.
select account_id, week
from account_outcomes_weekly
where
    known_week in (select week from run_weeks)
    and ((has_churned_13w and (has_contracted_13w or has_expanded_13w)) or (has_contracted_13w and has_expanded_13w))
order by week, account_id
