-- Accounts with two open packets of one side in a week.
select account_id, week
from risk_packets
where week in (select week from run_weeks) and state not in ('closed', 'dismissed', 'superseded')
group by account_id, week, side
having count(*) > 1
order by week, account_id
