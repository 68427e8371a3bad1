-- Weeks in which a domain is measured for some account and its leading feature is null for all of them.
with leading_features as (
    -- A company without subscriptions has invoices.
    select
        week,
        'arr or invoices_91d' as column_name,
        commercial_status as status,
        arr is not null or invoices_91d is not null as is_known
    from account_features_weekly
    union all
    -- What was overdue in weeks before a historical load can't be known.
    select
        week,
        'overdue_amount or failed_payment_count_28d' as column_name,
        payment_status as status,
        overdue_amount is not null or failed_payment_count_28d is not null as is_known
    from account_features_weekly
    union all
    -- Use without users (who ordered is not told) has days.
    select week, 'active_days_28d' as column_name, usage_status as status, active_days_28d is not null as is_known
    from account_features_weekly
    union all
    select week, 'tickets_opened_91d' as column_name, support_status as status, tickets_opened_91d is not null as is_known
    from account_features_weekly
)

select week, column_name
from leading_features
where week in (select week from run_weeks) and status = 'measured'
group by week, column_name
having sum(case when is_known then 1 else 0 end) = 0
order by week, column_name
