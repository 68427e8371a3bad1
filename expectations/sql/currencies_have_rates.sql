-- Accounts whose revenue is known and can't be converted: the policy has no rate for their currency.
select account_id, week
from account_features_weekly
where week in (select week from run_weeks) and arr is not null and currency is not null and arr_reporting is null
order by week, account_id
