-- Risks that vanished without a person's closing, or whose occurrences do not follow from the week that showed them
-- last. A quiet one is shown once, and waits for a person without a packet of its own in the weeks after.
with shown as (
    select
        packets.*,
        lead(packets.week) over (partition by packets.packet_id order by packets.week) as shown_again
    from risk_packets as packets
),

before as (
    select shown.*, run_weeks.week as next_week
    from shown
    inner join run_weeks
        on shown.week < run_weeks.week and (shown.shown_again is null or shown.shown_again >= run_weeks.week)
    inner join account_features_weekly as features
        on features.account_id = shown.account_id and features.week = run_weeks.week
    where shown.state not in ('closed', 'dismissed', 'superseded')
)

select before.packet_id, before.next_week as week
from before
left join risk_packets as packets on packets.packet_id = before.packet_id and packets.week = before.next_week
where (packets.packet_id is null or packets.state not in ('closed', 'dismissed', 'superseded'))
    and not (packets.packet_id is null and before.is_quiet)
    -- packets may be withheld, then all of them
    and before.next_week in (select week from risk_packets)
    and (
        packets.packet_id is null
        or packets.opened_week <> before.opened_week
        or packets.occurrences <> before.occurrences + case when packets.last_fired_week = packets.week then 1 else 0 end
        or (packets.last_fired_week <> packets.week and packets.last_fired_week <> before.last_fired_week)
    )
order by week, packet_id
