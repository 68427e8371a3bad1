"""Checks of what the installation holds: policy, sources, loads, releases, accounts, runs, incidents, schedules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from health_pipeline.orchestration.doctor.findings import Finding
from health_pipeline.orchestration.doctor.held_locks import HeldLock

# More of the accounts than these without an owner, or of the revenue without an account, is more than an oversight.
MANY_UNOWNED = 0.05
MUCH_UNMATCHED = 0.02
_HEARTBEAT = timedelta(minutes=10)
_SHOWN = 3


@dataclass(frozen=True)
class SourceState:
    """One kind of source: how the policy treats it and when it was last loaded (naive UTC; None: never)."""

    kind: str
    is_required: bool
    stale_after_days: int
    last_loaded_at: datetime | None


@dataclass(frozen=True)
class WaitingLoad:
    """A load in quarantine that a person has to look at."""

    load_id: str
    kind: str
    system: str
    status: str
    is_required: bool


@dataclass(frozen=True)
class RunState:
    """The newest finished or running run of a job."""

    job: str
    status: str
    ended_at: datetime | None
    run_id: str


@dataclass(frozen=True)
class Stores:
    """Facts of the stores; None where a store is not there yet.

    Attributes
    ----------
    now : naive UTC
    policy_problems : a sentence for each document that can't be used
    unreadable : a sentence for each store that could not be looked at
    sources : one per kind of source
    release : the current one; release_damages : what of it does not match its manifest
    newest_week, reviewable_week : newest published Monday, and the newest that could be
    accounts, unowned, revenue, unowned_revenue : of the newest week
    unmatched, unmatched_revenue : records of the queue, in the reporting currency
    ledger_problems : what of the ledger's chain does not hold, or does not reach what releases have anchored
    lock_holder, holder_is_alive : who noted the run lock, and whether that process runs
    held_locks : who holds the run's and the publication's lock right now
    left_behind : candidates in the scratch folder
    runs : newest run per job
    open_incidents : ids of incidents that nobody took
    schedules : name to whether it is switched on
    daemon_seen_at : Dagster daemon's last sign of life, naive UTC
    risk_review_lacks : what the risk review needs before packets are built
    """

    now: datetime
    policy_problems: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    sources: tuple[SourceState, ...] = ()
    waiting: tuple[WaitingLoad, ...] = ()
    release: str | None = None
    release_damages: tuple[str, ...] = ()
    newest_week: str | None = None
    reviewable_week: str | None = None
    accounts: int = 0
    unowned: int = 0
    unscored: int = 0
    revenue: Decimal | None = None
    unmatched: int = 0
    unmatched_revenue: Decimal | None = None
    ledger_problems: tuple[str, ...] = ()
    lock_holder: str | None = None
    holder_is_alive: bool = False
    held_locks: tuple[HeldLock, ...] = ()
    left_behind: tuple[str, ...] = ()
    runs: tuple[RunState, ...] = ()
    open_incidents: tuple[str, ...] = ()
    schedules: Mapping[str, bool] | None = None
    daemon_seen_at: datetime | None = None
    risk_review_lacks: tuple[str, ...] = ()


def check_readable(facts: Stores) -> Iterator[Finding]:
    """Every store could be looked at."""
    for sentence in facts.unreadable:
        yield Finding(
            "stores",
            "severe",
            sentence,
            "what it holds could not be checked, and a run will stop there too",
            "restore that store from its copy (docs/operations.md, Backup)",
        )


def check_policy(facts: Stores) -> Iterator[Finding]:
    """Every policy document can be used."""
    for sentence in facts.policy_problems:
        yield Finding(
            "policy",
            "severe",
            sentence,
            "no run starts before it is right",
            "correct what it names; `health-pipeline policy check` says whether it is right now",
        )


def check_risk_review(facts: Stores) -> Iterator[Finding]:
    """The risk review is ready: categories, someone who can approve mitigations, a review that is scheduled."""
    if facts.risk_review_lacks:
        yield Finding(
            "risk review",
            "severe",
            f"the risk review is not ready: {'; '.join(facts.risk_review_lacks)}",
            "packets are withheld until it is; scores, tiers and the plan still come",
            "fill categories, mitigation_approver_roles and review_schedule in risk_review.yaml of the policy folder",
        )


def check_sources(facts: Stores) -> Iterator[Finding]:
    """Required sources are loaded and fresh; optional ones that were loaded are fresh."""
    if all(source.last_loaded_at is None for source in facts.sources):
        if facts.sources:
            yield Finding(
                "sources",
                "warning",
                "nothing is loaded yet",
                "there is nothing to review",
                "run `make review` for the demo company, or `health-pipeline mapping init DIR` for your own files",
            )
        return
    for source in facts.sources:
        required = "required" if source.is_required else "optional"
        if source.last_loaded_at is None:
            if source.is_required:
                yield Finding(
                    "sources",
                    "severe",
                    f"the {required} source {source.kind} was never loaded",
                    "every review is held back",
                    f"load it, or take `required` away from {source.kind} in company.yaml",
                )
            continue
        age = facts.now - source.last_loaded_at
        if age > timedelta(days=source.stale_after_days):
            yield Finding(
                "sources",
                "severe" if source.is_required else "warning",
                f"the {required} source {source.kind} was last loaded {age.days} days ago "
                f"(stale after {source.stale_after_days})",
                "every review is held back" if source.is_required else "its domains turn stale, and coverage falls",
                f"load {source.kind} again; where the export failed, ask the system's owner",
            )
    never = [source.kind for source in facts.sources if source.last_loaded_at is None and not source.is_required]
    if never:
        yield Finding(
            "sources",
            "note",
            f"not connected: {', '.join(never)}",
            "what they would tell is unknown, not zero: it lowers coverage",
            "connect them when you can, or say which domains do not apply (not_applicable_domains in company.yaml)",
        )


def check_waiting_loads(facts: Stores) -> Iterator[Finding]:
    """No load waits for a person."""
    for load in facts.waiting:
        word = "held back for its volume" if load.status == "held" else "refused"
        yield Finding(
            "loads",
            "severe" if load.is_required else "warning",
            f"load {load.load_id} ({load.kind} from {load.system}) is {word}",
            "later loads of that system wait behind it" + ("; reviews are held back" if load.is_required else ""),
            f"`health-pipeline loads list` says why; then `loads accept` or `loads reject` {load.load_id}",
        )


def check_release(facts: Stores) -> Iterator[Finding]:
    """There is a release, and every file of it is what its manifest says."""
    if facts.release is None:
        yield Finding(
            "release",
            "warning",
            "nothing is published yet",
            "there is no mart, no plan and no report",
            "run `health-pipeline weekly --week YYYY-MM-DD` for a week that has ended",
        )
    elif facts.release_damages:
        shown = "; ".join(facts.release_damages[:_SHOWN])
        yield Finding(
            "release",
            "severe",
            f"release {facts.release} is damaged: {shown}",
            "readers may see wrong or missing rows, and the next run refuses to build on it",
            "`health-pipeline releases` lists the others; go back with `health-pipeline rollback RELEASE --by ADDRESS "
            "--reason TEXT` and run the weeks since again; a file that all of them share comes from your copy",
        )


def check_ledger(facts: Stores) -> Iterator[Finding]:
    """The ledger's chain holds, and reaches every head that a release has anchored."""
    if facts.ledger_problems:
        shown = " ".join(facts.ledger_problems[:_SHOWN]).removesuffix(".")
        yield Finding(
            "ledger",
            "severe",
            f"the ledger does not hold: {shown}",
            "somebody changed it, or it comes from a copy older than the newest release; the next audit refuses",
            "stop writing and restore a newer copy (docs/operations.md, The ledger of decisions); `health-pipeline "
            "ledger verify` says whether it holds then",
        )


def check_weeks(facts: Stores) -> Iterator[Finding]:
    """The newest week that could be reviewed is published."""
    if facts.newest_week and facts.reviewable_week and facts.newest_week < facts.reviewable_week:
        days = (datetime.fromisoformat(facts.reviewable_week) - datetime.fromisoformat(facts.newest_week)).days
        yield Finding(
            "weeks",
            "warning",
            f"the newest published week is {facts.newest_week}; {facts.reviewable_week} could be",
            "people look at an old state",
            f"run `health-pipeline weekly --week {facts.reviewable_week} --weeks {days // 7}`",
        )


def check_owners(facts: Stores) -> Iterator[Finding]:
    """Accounts have owners."""
    if facts.accounts and facts.unowned:
        share = facts.unowned / facts.accounts
        yield Finding(
            "owners",
            "warning" if share > MANY_UNOWNED else "note",
            f"{facts.unowned:,} of {facts.accounts:,} accounts have no owner ({share:.0%})",
            "nobody is asked to look at them; they stand first in the plan",
            "give them an owner in the CRM or the CS platform, and load it",
        )


def check_coverage(facts: Stores) -> Iterator[Finding]:
    """Most accounts can be scored."""
    if facts.accounts and facts.unscored > facts.accounts / 2:
        yield Finding(
            "coverage",
            "warning",
            f"{facts.unscored:,} of {facts.accounts:,} accounts are not scored",
            "too little of the score's weight is measured for them, and a guess is never made",
            "connect more sources, or say which domains do not apply to you (not_applicable_domains in company.yaml)",
        )


def check_unmatched(facts: Stores) -> Iterator[Finding]:
    """Records belong to accounts, and so does the revenue on them."""
    if not facts.unmatched:
        return
    share = facts.unmatched_revenue / facts.revenue if facts.unmatched_revenue and facts.revenue else None
    money = f" with {facts.unmatched_revenue:,.0f} of revenue" if facts.unmatched_revenue else ""
    yield Finding(
        "unmatched",
        "warning" if share is not None and share > MUCH_UNMATCHED else "note",
        f"{facts.unmatched:,} source records belong to no account{money}",
        "what they say counts for nobody",
        "look at the table unmatched_records, decide in identity_overrides.yaml (docs/operations.md)",
    )


def check_run_lock(facts: Stores) -> Iterator[Finding]:
    """No run was killed with the lock in its hand."""
    if facts.lock_holder is None:
        return
    if facts.holder_is_alive:
        yield Finding(
            "run lock",
            "note",
            f"{facts.lock_holder} is running",
            "another run waits for it",
            "nothing; `make dev` shows what it does",
        )
    else:
        yield Finding(
            "run lock",
            "warning",
            f"{facts.lock_holder} was killed and left its note behind",
            "the lock itself is free; what the run had begun is not finished",
            "run the same command again: it goes on from what is there",
        )


def check_stopped_holders(facts: Stores) -> Iterator[Finding]:
    """No lock is held by a process that is stopped."""
    for lock in facts.held_locks:
        if lock.is_stopped:
            yield Finding(
                "locks",
                "severe",
                f"process {lock.process} holds {lock.name} and is stopped",
                "no run gets past it; if it wakes up after another release, its own is refused",
                f"let it go on with `kill -CONT {lock.process}`, or end it (`kill -KILL {lock.process}`) and run again",
            )


def check_left_behind(facts: Stores) -> Iterator[Finding]:
    """Nothing of an earlier run lies in the scratch folder while no run is at work."""
    if facts.left_behind and not facts.held_locks and not facts.holder_is_alive:
        yield Finding(
            "scratch",
            "note",
            f"{len(facts.left_behind)} candidates were left behind: {', '.join(facts.left_behind[:_SHOWN])}",
            "they take room; nobody reads them",
            "nothing: the next run removes them before its first step",
        )


def check_last_runs(facts: Stores) -> Iterator[Finding]:
    """The newest run of each job succeeded."""
    for run in facts.runs:
        if run.status in ("FAILURE", "CANCELED"):
            when = f" at {run.ended_at:%Y-%m-%d %H:%M} UTC" if run.ended_at else ""
            yield Finding(
                "last run",
                "severe",
                f"the last run of {run.job} {'failed' if run.status == 'FAILURE' else 'was stopped'}{when}",
                "the release before it is still current",
                f"`make dev`, Runs, {run.run_id[:8]} says why; mend the cause and run the week again",
            )


def check_incidents(facts: Stores) -> Iterator[Finding]:
    """Every open incident is somebody's."""
    if facts.open_incidents:
        shown = ", ".join(facts.open_incidents[:_SHOWN])
        yield Finding(
            "incidents",
            "warning",
            f"{len(facts.open_incidents)} incidents are open and nobody's: {shown}",
            "a candidate was refused, and nobody looks for the cause",
            "`health-pipeline incidents assign INCIDENT --to ADDRESS`",
        )


def check_schedules(facts: Stores) -> Iterator[Finding]:
    """The reviews come by themselves: the schedules are on, and the daemon that fires them is alive."""
    if facts.schedules is None:
        return
    off = [name for name, is_on in facts.schedules.items() if not is_on]
    if off:
        yield Finding(
            "schedules",
            "note",
            f"switched off: {', '.join(off)}",
            "reviews run only when somebody starts them",
            "`make dev`, Automation, switch them on",
        )
    if len(off) < len(facts.schedules) and (
        facts.daemon_seen_at is None or facts.now - facts.daemon_seen_at > _HEARTBEAT
    ):
        seen = f"was last seen at {facts.daemon_seen_at:%Y-%m-%d %H:%M} UTC" if facts.daemon_seen_at else "never ran"
        yield Finding(
            "schedules",
            "severe",
            f"schedules are on, and the Dagster daemon {seen}",
            "no scheduled review will run",
            "keep `make dev` (or dagster-daemon) running, as a service",
        )
