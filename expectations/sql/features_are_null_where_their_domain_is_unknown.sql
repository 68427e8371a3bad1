-- Counts of a domain whose source is not connected, or does not know the account: a number there is invented.
select account_id, week, 'usage' as column_name
from account_features_weekly
where week in (select week from run_weeks) and usage_status = 'missing'
    and (active_users_28d is not null or active_days_28d is not null or feature_breadth_28d is not null)
union all
select account_id, week, 'support' as column_name
from account_features_weekly
where week in (select week from run_weeks) and support_status = 'missing'
    and (tickets_opened_28d is not null or tickets_opened_91d is not null or open_backlog is not null or reopen_rate_91d is not null)
union all
select account_id, week, 'risk' as column_name
from account_features_weekly
where week in (select week from run_weeks) and risk_status = 'missing' and open_risks is not null
order by week, account_id, column_name
