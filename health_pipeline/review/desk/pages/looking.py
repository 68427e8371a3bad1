"""Pages that only show: an account over time, the team's figures, the audit trail, the rules of the house."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.responses import Response

from health_pipeline.review.cases import Case
from health_pipeline.review.database import reading
from health_pipeline.review.desk.history import history_lines
from health_pipeline.review.desk.override_list import shown_overrides
from health_pipeline.review.desk.rendering import page
from health_pipeline.review.desk.score_line import score_line
from health_pipeline.review.desk.team_metrics import MEASURED, team_figures
from health_pipeline.review.desk.visits import Desk, Visit
from health_pipeline.review.forms import FORMS
from health_pipeline.review.overrides import TIERS
from health_pipeline.review.projection import CaseFilter, find_cases
from health_pipeline.review.states import TRANSITIONS
from health_pipeline.review.stop_rules import STOP_RULES
from health_pipeline.risk.outcomes import SAVED_RULE

EVENTS_PER_PAGE = 100


@dataclass(frozen=True)
class ReturnedOverride:
    """A form about an override that comes back, with why; nothing that was typed is lost."""

    sentence: str
    typed: Mapping[str, list[str]] = field(default_factory=dict)

    def value(self, name: str) -> str:
        """What was typed into a field."""
        return next(iter(self.typed.get(name, ())), "")


def account_page(desk: Desk, visit: Visit) -> Response:
    """An account over time: its published weeks, its cases, overrides of its tier, what was done."""
    return account_view(desk, visit)


def account_view(
    desk: Desk, visit: Visit, returned: ReturnedOverride | None = None, status: HTTPStatus = HTTPStatus.OK
) -> Response:
    """The account's page, with a form that came back where one did."""
    account_id = visit.request.path_params["account_id"]
    of_account = desk.ledger.cases(CaseFilter(account_ids=[account_id]))
    cases = visit.visible(of_account)
    by_id = {case.case_id: case for case in cases}
    events = [event for event in desk.ledger.events(account_id=account_id) if event.case_id in by_id]
    lines = history_lines(desk, visit, [event for event in events if event.type != "packet_viewed"], by_id)
    weeks = desk.published.weeks(account_id)
    return page(
        desk,
        visit,
        "account.html.j2",
        status,
        account_id=account_id,
        overrides=shown_overrides(desk, visit, of_account),
        may_ask=visit.may("request_override", of_account[0].owner_email),
        tiers=TIERS,
        longest_days=desk.ledger.policy.acceptance_longest_days,
        returned=returned,
        account_name=desk.published.name(account_id),
        cases=sorted(cases, key=lambda case: case.detected_at, reverse=True),
        lines=list(reversed(lines)),
        weeks=weeks,
        line=score_line(weeks),
    )


def metrics_page(desk: Desk, visit: Visit) -> Response:
    """The figures of the cases the person may see."""
    seen = visit.visible(desk.ledger.cases())
    cases = [case for case in seen if case.audit is None]
    audits = Counter((case.audit.finding or "drawn") for case in seen if case.audit)
    figures = team_figures(cases, desk.ledger.events(types=MEASURED), visit.now)
    return page(
        desk,
        visit,
        "metrics.html.j2",
        figures=figures,
        cases=len(cases),
        audits=audits,
        rules=STOP_RULES,
        saved_rule=SAVED_RULE,
    )


def audit_page(desk: Desk, visit: Visit) -> Response:
    """Every event, the newest first; choices and ids, no words that people wrote."""
    return _audit(desk, visit, None)


def verify_chain(desk: Desk, visit: Visit) -> Response:
    """Follow the whole chain now, and say what was found."""
    return _audit(desk, visit, desk.ledger.verify())


def _audit(desk: Desk, visit: Visit, report: object) -> Response:
    query = visit.request.query_params
    head = desk.ledger.head()
    newest = head.seq if head else 0
    given = query.get("up_to", "")
    up_to = min(int(given), newest) if given.isdecimal() and len(given) < 12 else newest
    kind = query.get("type", "")[:40]
    case_id = query.get("case", "")[:64]
    if case_id or kind:
        events = desk.ledger.events(case_id=case_id or None, types=[kind] if kind else None)
        events = [event for event in events if event.seq <= up_to][-EVENTS_PER_PAGE:]
    else:
        events = desk.ledger.events(after_seq=max(0, up_to - EVENTS_PER_PAGE), limit=EVENTS_PER_PAGE)
    with reading(desk.ledger.engine) as connection:
        cases: dict[str, Case] = find_cases(connection, sorted({e.case_id for e in events if e.case_id}))
    # Nobody's words here, whoever looks: the trail is for what was done.
    lines = history_lines(desk, visit, events, {})
    return page(
        desk,
        visit,
        "audit.html.j2",
        lines=list(reversed(lines)),
        cases=cases,
        names=desk.published.account_names(),
        head=head,
        report=report,
        kind=kind,
        case_id=case_id,
        older=events[0].seq - 1 if events and events[0].seq > 1 else None,
        is_newest=up_to == newest,
    )


def rules_page(desk: Desk, visit: Visit) -> Response:
    """The keys, the stop rules and the states, and the switch for small teams."""
    return page(
        desk,
        visit,
        "rules.html.j2",
        rules=STOP_RULES.values(),
        transitions=[row for row in TRANSITIONS if row.action in FORMS],
        is_four_eyes_on=desk.ledger.is_four_eyes_on(),
        policy=desk.ledger.policy,
    )
