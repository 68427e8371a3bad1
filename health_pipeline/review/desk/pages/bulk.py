"""Several cases at once: assign, defer, dismiss as the same false positive. Previewed; never approving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from starlette.responses import RedirectResponse, Response

from health_pipeline.review.cases import Case
from health_pipeline.review.database import reading
from health_pipeline.review.decisions import Refusal
from health_pipeline.review.desk.action_forms import form_values
from health_pipeline.review.desk.action_words import ACTION_WORDS, FIELD_WORDS
from health_pipeline.review.desk.notices import leave_notices
from health_pipeline.review.desk.pages.cases import read_filter_query
from health_pipeline.review.desk.rendering import counted, page, request_key
from health_pipeline.review.desk.stop_list import in_words
from health_pipeline.review.desk.visits import BadRequestError, Desk, Visit
from health_pipeline.review.failures import ConflictError, IdempotencyError, UnknownCaseError
from health_pipeline.review.forms import FormError, ReadForm, read_form
from health_pipeline.review.projection import find_cases
from health_pipeline.review.states import BY_ACTION
from health_pipeline.review.stop_rules import Question, stopped_by

BULK_ACTIONS = ("assign_owner", "defer", "dismiss")
MOST = 200


@dataclass(frozen=True)
class Previewed:
    """What would happen to one case: recorded, or stopped with the reasons."""

    case: Case
    reasons: tuple[str, ...]


def preview(desk: Desk, visit: Visit) -> Response:
    """Show what would be recorded for each case, and what would be stopped; nothing is recorded yet."""
    action, values = _asked(visit)
    read = _read(action, values)
    with reading(desk.ledger.engine) as connection:
        found = find_cases(connection, _chosen(visit))
    cases = visit.visible(found.values())
    if not cases:
        raise BadRequestError("No case was chosen; mark some in the queue first.")
    is_four_eyes_on = desk.ledger.is_four_eyes_on()
    rows = []
    for case in cases:
        question = Question(
            case,
            BY_ACTION[action],
            read,
            visit.me.email,
            visit.person,
            visit.team_of(case.owner_email),
            desk.ledger.policy,
            is_four_eyes_on,
            visit.now,
        )
        rows.append(Previewed(case, tuple(in_words(rule.reason) for rule in stopped_by(question))))
    return page(
        desk,
        visit,
        "bulk.html.j2",
        action=action,
        words=ACTION_WORDS[action],
        values={FIELD_WORDS[name]: _shown(visit, name, value) for name, value in values.items()},
        fields=values,
        rows=rows,
        names=desk.published.account_names(),
        batch=request_key(),
        query=read_filter_query(visit.one("queue")),
    )


def record(desk: Desk, visit: Visit) -> Response:
    """Record it for each case: one event each, one transaction each; what was stopped or has changed is said."""
    action, values = _asked(visit)
    done, notices = 0, []
    for case_id, version in _versions(visit):
        key = f"{visit.me.email[:40]}:{visit.one('batch')[:40]}:{case_id[:40]}"
        try:
            result = desk.ledger.decide(case_id, action, visit.me.email, version, key, values)
        except (ConflictError, UnknownCaseError, IdempotencyError):
            notices.append(f"{_name(desk, visit, case_id)}: changed meanwhile, left as it is.")
            continue
        except FormError as error:
            raise BadRequestError(str(error)) from error
        if isinstance(result, Refusal):
            why = " ".join(in_words(rule.reason) for rule in result.rules)
            notices.append(f"{_name(desk, visit, case_id)}: stopped. {why}")
        else:
            done += 1
    leave_notices(desk, visit, [f"{ACTION_WORDS[action].label}: recorded for {counted(done, 'case')}.", *notices])
    query = read_filter_query(visit.one("queue"))
    return RedirectResponse(f"/queue?{query}" if query else "/queue", HTTPStatus.SEE_OTHER)


def _read(action: str, values: dict[str, object]) -> ReadForm:
    """Read the common fields; what is missing is said before anything is shown."""
    try:
        return read_form(action, values)
    except FormError as error:
        raise BadRequestError(f"{in_words(str(error))} Go back, and fill it in below the queue.") from error


def _asked(visit: Visit) -> tuple[str, dict[str, object]]:
    action = visit.one("action")
    if action not in BULK_ACTIONS:
        raise BadRequestError("Several cases at once can be assigned, deferred or dismissed; nothing else.")
    return action, form_values(action, visit.form)


def _chosen(visit: Visit) -> list[str]:
    chosen = list(dict.fromkeys(visit.all("case_id")))
    if len(chosen) > MOST:
        raise BadRequestError(f"{len(chosen)} cases are too many at once; {MOST} go.")
    return chosen


def _versions(visit: Visit) -> Sequence[tuple[str, int]]:
    chosen = _chosen(visit)
    found = []
    for case_id in chosen:
        given = visit.one(f"version-{case_id}")
        if not given.isdecimal() or len(given) > 9:
            raise BadRequestError("This form can't be read; choose the cases again.")
        found.append((case_id, int(given)))
    return found


def _name(desk: Desk, visit: Visit, case_id: str) -> str:
    with reading(desk.ledger.engine) as connection:
        case = find_cases(connection, [case_id]).get(case_id)
    if case is None or not visit.may("view", case.owner_email):
        return "A case"
    return desk.published.name(case.account_id)


def _shown(visit: Visit, name: str, value: object) -> str:
    text = str(value)
    return visit.name_of(text) if name.endswith("_email") else text.replace("_", " ") if name == "reason_code" else text
