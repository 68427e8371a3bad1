-- Packets with a signal that no supporting piece of evidence speaks of.
with signals as (
    select packet_id, week, unnest(string_split(signals, ',')) as signal
    from risk_packets
    where week in (select week from run_weeks) and signals is not null
)

select distinct signals.packet_id, signals.week
from signals
left join risk_evidence as evidence
    on evidence.packet_id = signals.packet_id
    and evidence.week = signals.week
    and evidence.subject = signals.signal
    and evidence.direction = 'supports'
where evidence.evidence_id is null
order by signals.week, signals.packet_id
