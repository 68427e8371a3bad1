"""A case's pages: the packet and its forms, a decision about it, a piece of its evidence, whether it has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import JSONResponse, RedirectResponse, Response

from health_pipeline.contract.case_states import ENDED
from health_pipeline.review.cases import Case, Event
from health_pipeline.review.database import reading
from health_pipeline.review.decisions import Refusal
from health_pipeline.review.desk.action_forms import (
    ActionForm,
    Choices,
    choices_of,
    form_values,
    is_offered,
    lost_form,
    offered_forms,
)
from health_pipeline.review.desk.action_words import ACTION_WORDS
from health_pipeline.review.desk.audit_page import NEAREST, audit_view, audited_signals, signal_choices
from health_pipeline.review.desk.history import history_lines
from health_pipeline.review.desk.notices import leave_notices
from health_pipeline.review.desk.one_page import whole_brief
from health_pipeline.review.desk.packet_page import packet_view
from health_pipeline.review.desk.queue import neighbours, read_filter
from health_pipeline.review.desk.rendering import page
from health_pipeline.review.desk.stop_list import in_words, rules_before_approval
from health_pipeline.review.desk.visits import Desk, ForbiddenError, NotFoundError, Visit
from health_pipeline.review.desk.what_happened import what_happened
from health_pipeline.review.events import event_of_key
from health_pipeline.review.failures import ConflictError, IdempotencyError
from health_pipeline.review.forms import FormError
from health_pipeline.review.projection import CaseFilter


@dataclass(frozen=True)
class Returned:
    """A form that comes back to its person, with why; nothing that was typed is lost."""

    action: str
    typed: Mapping[str, list[str]]
    title: str
    sentences: tuple[str, ...]
    status: HTTPStatus


def case_page(desk: Desk, visit: Visit) -> Response:
    """The packet, and what may be decided about it."""
    assert visit.case is not None
    if visit.case.audit is None:
        _note(desk, visit, "view_packet", visit.case.packet_hash, {})
    return _case_page(desk, visit, visit.case)


def decide(desk: Desk, visit: Visit) -> Response:
    """Hand a decision to the ledger; it records it, or that and why it was refused."""
    assert visit.case is not None
    action = visit.request.path_params["action"]
    if not is_offered(action):
        raise NotFoundError("There is no such action.")
    case = visit.case
    may_see = visit.may("view", case.owner_email)
    # Who may not see the case learns nothing of it, not even that it has changed: the ledger refuses, on the record.
    version = int(visit.one("case_version")) if may_see and visit.one("case_version").isdecimal() else case.version
    values = form_values(action, visit.form)
    if may_see and visit.one("packet_hash"):
        values["packet_hash"] = visit.one("packet_hash")
    key = f"{visit.me.email[:60]}:{visit.one('idempotency_key')[:60]}"
    try:
        result = desk.ledger.decide(case.case_id, action, visit.me.email, version, key, values)
    except ConflictError as error:
        return _conflict(desk, visit, action, error)
    except (FormError, IdempotencyError) as error:
        if not may_see:
            raise ForbiddenError("This case is another person's.") from error
        sentence = in_words(str(error))
        returned = Returned(action, visit.form, "Something is missing", (sentence,), HTTPStatus.UNPROCESSABLE_ENTITY)
        return _case_page(desk, visit, case, returned)
    if isinstance(result, Refusal):
        reasons = tuple(f"{in_words(rule.reason)} Released by: {rule.released_by}." for rule in result.rules)
        if not may_see:
            raise ForbiddenError(" ".join(in_words(rule.reason) for rule in result.rules))
        title = f"{ACTION_WORDS[action].label}: stopped, and recorded as such"
        return _case_page(
            desk, visit, result.case, Returned(action, visit.form, title, reasons, HTTPStatus.UNPROCESSABLE_ENTITY)
        )
    name = desk.published.name(case.account_id)
    leave_notices(desk, visit, [f"{ACTION_WORDS[action].label}: recorded for {name}."])
    if not visit.may("view", result.case.owner_email):
        return RedirectResponse("/queue", HTTPStatus.SEE_OTHER)
    return RedirectResponse(_path(case.case_id, visit.one("queue")), HTTPStatus.SEE_OTHER)


def evidence_page(desk: Desk, visit: Visit) -> Response:
    """One piece of evidence: the landed record behind it, and what was read from it."""
    case = visit.case
    assert case is not None
    packet = desk.published.packet(case.case_id, case.week)
    piece = packet.piece(visit.request.path_params["evidence_id"]) if packet else None
    if piece is None:
        raise NotFoundError("The case's newest packet has no such piece of evidence.")
    _note(desk, visit, "open_evidence", f"{case.packet_hash}:{piece.evidence_id}", {"evidence_id": piece.evidence_id})
    view = packet_view(desk, visit, case, packet)
    link = desk.settings.record_links.get(piece.source_system, "").replace("{record}", piece.source_record_id)
    shown = next(one for one in view.pieces if one.piece.evidence_id == piece.evidence_id)
    return page(desk, visit, "evidence.html.j2", case=case, shown=shown, account_name=view.account_name, link=link)


def brief_page(desk: Desk, visit: Visit) -> Response:
    """The brief alone, made for one page of paper."""
    case = visit.case
    assert case is not None
    _note(desk, visit, "view_packet", case.packet_hash, {})
    packet = desk.published.packet(case.case_id, case.week)
    address = packet.row.get("body_sha256") if packet else None
    may_read = visit.may("read_notes", case.owner_email)
    sections = whole_brief(desk.published.settings.restricted, address, may_read)
    account_name = desk.published.name(case.account_id)
    return page(desk, visit, "brief.html.j2", case=case, account_name=account_name, sections=sections)


def version(desk: Desk, visit: Visit) -> Response:
    """Whether a case has changed since a page of it was opened; asked by the script."""
    assert visit.case is not None
    newest = visit.case
    return JSONResponse(
        {"version": newest.version, "packet_hash": newest.packet_hash, "state": newest.state.replace("_", " ")}
    )


def _path(case_id: str, query: str) -> str:
    kept = read_filter_query(query)
    return f"/cases/{case_id}" + (f"?{kept}" if kept else "")


def read_filter_query(query: str) -> str:
    """The queue's filter out of an address' query, read and written again: nothing else passes through."""
    return read_filter(dict(parse_qsl(query[:1000]))).query()


def _note(desk: Desk, visit: Visit, action: str, what: str, form: Mapping[str, object]) -> None:
    """Leave the event of having looked, once per session and packet: for the measurement, not for control."""
    assert visit.case is not None and visit.session is not None
    content = f"{action}:{visit.session.session_id}:{visit.case.case_id}:{what}"
    key = f"seen:{hashlib.sha256(content.encode()).hexdigest()}"
    with reading(desk.ledger.engine) as connection:
        is_noted = event_of_key(connection, key) is not None
    if not is_noted:
        desk.ledger.decide(visit.case.case_id, action, visit.me.email, visit.case.version, key, form)


def _conflict(desk: Desk, visit: Visit, action: str, error: ConflictError) -> Response:
    case = error.case
    if not visit.may("view", case.owner_email):
        raise ForbiddenError("The case was given to somebody else meanwhile; nothing was recorded.") from error
    lines = history_lines(desk, visit, error.since, {case.case_id: case})
    sentences = tuple(
        f"{line.who} {line.what}"
        + (f" ({', '.join(f'{a} {b}' for a, b in line.details)})" if line.details else "")
        + "."
        for line in lines
        if line.type not in {"packet_viewed", "evidence_opened"}
    )
    title = "Somebody was faster: nothing was recorded, and your text is still here"
    returned = Returned(action, visit.form, title, sentences, HTTPStatus.CONFLICT)
    return _case_page(desk, replace(visit, case=case), case, returned)


def _case_page(desk: Desk, visit: Visit, case: Case, returned: Returned | None = None) -> Response:
    events = desk.ledger.events(case_id=case.case_id)
    own, choices = _of_audit(desk, visit, case) if case.audit else _of_packet(desk, visit, case, events)
    forms = offered_forms(
        case, visit, choices, returned.typed if returned else None, returned.action if returned else ""
    )
    lost = None
    if returned and returned.action not in {form.action for form in forms}:
        lost = lost_form(returned.action, case, choices, returned.typed)
    wanted = read_filter(visit.request.query_params)
    names = desk.published.account_names()
    with reading(desk.ledger.engine) as connection:
        before, after = neighbours(
            connection, case.case_id, wanted, visit.me, list(visit.people.values()), names, visit.now
        )
    return page(
        desk,
        visit,
        "audit_case.html.j2" if case.audit else "case.html.j2",
        returned.status if returned else HTTPStatus.OK,
        case=case,
        **own,
        forms=_by_place(forms),
        inline={form.action: form for form in forms if form.words.place == "inline"},
        lost=lost,
        returned=returned,
        history=list(reversed(history_lines(desk, visit, events, {case.case_id: case}))),
        before=before,
        after=after,
        wanted=wanted,
    )


def _of_packet(desk: Desk, visit: Visit, case: Case, events: Sequence[Event]) -> tuple[dict[str, Any], Choices]:
    packet = desk.published.packet(case.case_id, case.week)
    view = packet_view(desk, visit, case, packet)
    others = _other_cases(desk, visit, case)
    own = {
        "view": view,
        "rules": rules_before_approval(desk, visit, case),
        "happened": what_happened(case, events),
        "titles": desk.option_titles,
    }
    return own, choices_of(case, packet, visit, desk.option_titles, others, view.brief.causes)


def _of_audit(desk: Desk, visit: Visit, case: Case) -> tuple[dict[str, Any], Choices]:
    """An account drawn at random has no packet: nothing flagged it."""
    signals = audited_signals(desk)
    named = signal_choices(signals)
    choices = choices_of(case, None, visit, desk.option_titles, (), signals=named)
    return {"view": audit_view(desk, case, signals), "nearest": NEAREST, "signal_titles": dict(named)}, choices


def _by_place(forms: Sequence[ActionForm]) -> dict[str, list[ActionForm]]:
    places: dict[str, list[ActionForm]] = {name: [] for name in ("decide", "set_aside", "about", "follow")}
    for form in forms:
        if form.words.place != "inline":
            places[form.words.place].append(form)
    return places


def _other_cases(desk: Desk, visit: Visit, case: Case) -> list[Case]:
    of_account = desk.ledger.cases(CaseFilter(account_ids=[case.account_id]))
    there = [one for one in visit.visible(of_account) if one.state not in ENDED and one.audit is None]
    return [one for one in there if one.case_id != case.case_id]
