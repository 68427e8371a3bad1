-- Texts that read as an order to contact a customer. The plan proposes to a reviewer; it never tells anybody to reach out.
select account_id, week, 'action_plan_accounts_weekly' as table_name
from action_plan_accounts_weekly
where week in (select week from run_weeks)
    and (
        regexp_matches(lower(proposed_action), $starts) or regexp_matches(lower(proposed_action), $contains)
        or regexp_matches(lower(drivers), $contains)
    )
union all
select account_id, opened_week as week, 'review_tasks' as table_name
from review_tasks
where regexp_matches(lower(reason), $starts) or regexp_matches(lower(reason), $contains)
