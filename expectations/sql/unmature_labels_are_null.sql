-- Labels of weeks whose 13 weeks have not passed: nobody can know them.
select account_id, week
from account_outcomes_weekly
where not is_mature
    and (has_churned_13w is not null or has_contracted_13w is not null or has_expanded_13w is not null)
order by week, account_id
