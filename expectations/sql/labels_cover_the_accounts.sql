-- Accounts of thirteen weeks before without a row of labels.
select features.account_id, features.week
from account_features_weekly as features
left join account_outcomes_weekly as labels on features.account_id = labels.account_id and features.week = labels.week
where features.week in (select week - 91 from run_weeks) and labels.account_id is null
order by features.week, features.account_id
