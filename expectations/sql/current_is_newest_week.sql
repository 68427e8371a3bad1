-- Rows of account_health_current that are not the newest week's, and the other way round.
(
    select account_id, week from account_health_current
    except
    select account_id, week from account_health_weekly
    where week = (select max(week) from account_health_weekly)
)
union all
(
    select account_id, week from account_health_weekly
    where week = (select max(week) from account_health_weekly)
    except
    select account_id, week from account_health_current
)
