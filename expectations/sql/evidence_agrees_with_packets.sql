-- Packets whose counts of evidence are not those of its rows, and rows of evidence without their packet.
with counted as (
    select
        packet_id,
        account_id,
        week,
        count(case when direction = 'supports' then 1 end) as supporting,
        count(case when direction = 'contradicts' then 1 end) as contradicting,
        count(case when direction = 'supports' and kind <> 'inferred_from_absence' then 1 end) as seen
    from risk_evidence
    where week in (select week from run_weeks)
    group by packet_id, account_id, week
),

packets as (
    select * from risk_packets where week in (select week from run_weeks)
)

select coalesce(packets.packet_id, counted.packet_id) as packet_id, coalesce(packets.week, counted.week) as week
from packets
full join counted
    on counted.packet_id = packets.packet_id and counted.week = packets.week and counted.account_id = packets.account_id
where packets.packet_id is null
    or packets.supporting_evidence is distinct from coalesce(counted.supporting, 0)
    or packets.contradicting_evidence is distinct from coalesce(counted.contradicting, 0)
    or packets.has_only_absence is distinct from (coalesce(counted.supporting, 0) > 0 and counted.seen = 0)
order by week, packet_id
