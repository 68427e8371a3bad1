-- Open packets that stand in no queue or in another place than they say, places without their packet, quiet packets that
-- still have a place or do not say why they left it, audited accounts that were flagged, and places that are taken twice.
with queued as (
    select * from exception_queue_weekly where week in (select week from run_weeks)
),

packets as (
    select * from risk_packets
    where week in (select week from run_weeks) and state not in ('closed', 'dismissed', 'superseded') and not is_quiet
),

misplaced as (
    select coalesce(packets.account_id, queued.account_id) as account_id, coalesce(packets.week, queued.week) as week
    from packets
    full join (select * from queued where packet_id is not null) as queued
        on queued.packet_id = packets.packet_id and queued.week = packets.week
    where packets.packet_id is null
        or queued.packet_id is null
        or queued.queue_rank is distinct from packets.queue_rank
        or queued.queue is distinct from packets.queue
        or queued.queue_rank is null
),

quiet as (
    select account_id, week
    from risk_packets
    where week in (select week from run_weeks) and state <> 'closed' and is_quiet
        and (queue_rank is not null or queue is not null or queue_reason is null)
),

audited as (
    select drawn.account_id, drawn.week
    from queued as drawn
    inner join queued as flagged
        on flagged.account_id = drawn.account_id and flagged.week = drawn.week and flagged.subject <> 'random_audit'
    where drawn.subject = 'random_audit'
),

without_chance as (
    select account_id, week
    from queued
    where (subject = 'random_audit') <> (inclusion_share is not null)
),

taken_twice as (
    select min(account_id) as account_id, week
    from queued
    where queue_rank is not null
    group by week, queue_rank
    having count(*) > 1
)

select account_id, week from misplaced
union
select account_id, week from quiet
union
select account_id, week from audited
union
select account_id, week from without_chance
union
select account_id, week from taken_twice
order by week, account_id
