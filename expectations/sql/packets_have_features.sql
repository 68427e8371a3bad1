-- Packets of accounts that were no customers in the week.
select packets.packet_id, packets.week
from risk_packets as packets
left join account_features_weekly as features
    on features.account_id = packets.account_id and features.week = packets.week
where packets.week in (select week from run_weeks) and features.account_id is null
order by packets.week, packets.packet_id
