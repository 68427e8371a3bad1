-- Accounts in a renewal stage without an open renewal.
select account_id, week
from account_features_weekly
where week in (select week from run_weeks) and renewal_stage is not null and has_open_renewal_opportunity is not true
order by week, account_id
