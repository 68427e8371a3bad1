-- Accounts whose tickets the support load counts otherwise than the features do.
select
    coalesce(load.account_id, features.account_id) as account_id,
    coalesce(load.week, features.week) as week
from (select * from support_load_weekly where week in (select week from run_weeks)) as load
full join (
    select * from account_features_weekly
    where week in (select week from run_weeks) and (tickets_opened_91d > 0 or open_backlog > 0)
) as features on load.account_id = features.account_id and load.week = features.week
where load.tickets_opened_91d is distinct from features.tickets_opened_91d
    or load.tickets_opened_28d is distinct from features.tickets_opened_28d
    or load.open_backlog is distinct from features.open_backlog
order by 1, 2
