-- Accounts that the sources place above themselves.
select account_id, week
from account_features_weekly
where week in (select week from run_weeks) and is_in_parent_circle
order by week, account_id
