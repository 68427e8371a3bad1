-- A proposal that no review task stands before: nobody would have to approve it.
select plan.account_id, plan.week
from action_plan_accounts_weekly as plan
left join review_tasks as tasks on tasks.task_id = plan.task_id and tasks.account_id = plan.account_id
where plan.week in (select week from run_weeks) and tasks.task_id is null
order by plan.week, plan.account_id
