-- Families whose sum does not follow from their accounts: each family is its topmost account with all accounts that name it as such.
with families as (
    select
        week,
        ultimate_parent_account_id,
        count(*) - 1 as child_accounts,
        sum(arr_reporting) as arr_reporting,
        count(arr_reporting) as arr_reporting_accounts,
        sum(active_users_28d) as active_users_28d,
        sum(tickets_opened_91d) as tickets_opened_91d,
        sum(open_risks) as open_risks
    from account_features_weekly
    where week in (select week from run_weeks) and ultimate_parent_account_id is not null
    group by week, ultimate_parent_account_id
)

select tops.account_id, tops.week
from account_features_weekly as tops
inner join families on tops.week = families.week and tops.account_id = families.ultimate_parent_account_id
where tops.child_accounts is distinct from families.child_accounts
    or tops.arr_reporting_rolled_up is distinct from families.arr_reporting
    or tops.arr_reporting_rolled_up_accounts is distinct from families.arr_reporting_accounts
    or tops.active_users_28d_rolled_up is distinct from families.active_users_28d
    or tops.tickets_opened_91d_rolled_up is distinct from families.tickets_opened_91d
    or tops.open_risks_rolled_up is distinct from families.open_risks
order by tops.week, tops.account_id
