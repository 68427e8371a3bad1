-- Weeks in which the tickets of the themes, of their accounts, and of the support load are not the same number.
with by_theme as (
    select week, sum(tickets_91d) as tickets from defect_themes_weekly group by week
),

by_account as (
    select week, sum(tickets_91d) as tickets from defect_theme_accounts_weekly group by week
),

by_load as (
    select week, sum(tickets_opened_91d) as tickets from support_load_weekly group by week
)

select run_weeks.week
from run_weeks
left join by_theme on by_theme.week = run_weeks.week
left join by_account on by_account.week = run_weeks.week
left join by_load on by_load.week = run_weeks.week
where coalesce(by_theme.tickets, 0) <> coalesce(by_account.tickets, 0)
    or coalesce(by_theme.tickets, 0) <> coalesce(by_load.tickets, 0)
order by run_weeks.week
