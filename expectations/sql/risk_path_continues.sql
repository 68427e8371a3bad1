-- Risks that vanished without a person's closing, or whose occurrences do not follow from the week before.
with weeks as (
    select week from run_weeks
),

before as (
    select packets.*, weeks.week as next_week
    from risk_packets as packets
    inner join weeks on packets.week = weeks.week - 7
    inner join account_features_weekly as features
        on features.account_id = packets.account_id and features.week = weeks.week
    where packets.state not in ('closed', 'dismissed', 'superseded')
)

select before.packet_id, before.next_week as week
from before
left join risk_packets as packets on packets.packet_id = before.packet_id and packets.week = before.next_week
where (packets.packet_id is null or packets.state not in ('closed', 'dismissed', 'superseded'))
    -- packets may be withheld, then all of them
    and before.next_week in (select week from risk_packets)
    and (
        packets.packet_id is null
        or packets.opened_week <> before.opened_week
        or packets.occurrences <> before.occurrences + case when packets.last_fired_week = packets.week then 1 else 0 end
        or (packets.last_fired_week <> packets.week and packets.last_fired_week <> before.last_fired_week)
    )
order by week, packet_id
