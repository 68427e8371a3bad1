-- Accounts with two packets of one side in a week.
select account_id, week
from risk_packets
where week in (select week from run_weeks)
group by account_id, week, side
having count(*) > 1
order by week, account_id
