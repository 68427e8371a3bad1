"""What other systems are given of an approved action: the model of the answer, its schema, its row in a CSV file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from health_pipeline.review.action_queue import ApprovedAction

FEED_PATH = "/api/actions"
PAGE_SIZE = 100
LARGEST_PAGE = 500
Severity = Literal["critical", "high", "medium", "low"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GivenApproval(_Model):
    """The approval an action rests on, and where it stands in the ledger's hash chain."""

    event_id: str
    ledger_seq: int = Field(description="Number of the approval's event in the ledger.")
    ledger_hash: str = Field(description="Hash of that event; the chain holds it to all that came before.")
    approved_by: str
    approved_at: datetime
    valid_until: datetime = Field(description="The approval has no effect from then on.")
    proposed_by: str
    proposed_at: datetime
    second_person: Literal["second_person", "not_needed", "switched_off"] = Field(
        description="Whether somebody else than the proposer had to approve; `switched_off` by the recorded switch."
    )
    severity: Severity = Field(description="As a person confirmed it, and as it was approved.")
    message_digest: str | None = Field(
        description="Digest of the message a person wrote, bound to the approval. Its words stay at the desk."
    )


class GivenAction(_Model):
    """One approved action. What customers and people wrote is no part of it."""

    action_id: str = Field(description="The same as long as the approval is; do it once, however often it comes.")
    seq: int
    action: str = Field(description="Id of the option, in `playbooks.yaml`.")
    title: str
    touches: list[str] = Field(description="What it touches: `customer`, `budget`, `product`.")
    case_id: str
    packet_id: str
    packet_hash: str = Field(description="Of the packet that was approved, and still is the case's.")
    week: date
    account_id: str
    category: str
    owner_email: str | None
    follow_up_on: date | None
    desk_url: str
    approval: GivenApproval


class ActionPage(_Model):
    """A page of the queue."""

    checked_at: datetime = Field(description="When every approval on this page was found to hold.")
    next_after: int = Field(description="What to ask for next with `after=`; nothing is missed, some may come twice.")
    is_complete: bool = Field(description="False: ask again at once, there is more.")
    actions: list[GivenAction]


class CheckedAction(_Model):
    """One action whose approval holds."""

    checked_at: datetime
    action: GivenAction


class Problem(_Model):
    """Why there is no answer (RFC 9457)."""

    status: int
    title: str
    detail: str


def given(one: ApprovedAction, titles: Mapping[str, str], origin: str) -> GivenAction:
    """An action as other systems see it.

    Parameters
    ----------
    titles : of the options, by id
    origin : the desk's address
    """
    case, approval, proposal = one.case, one.approval, one.proposal
    return GivenAction(
        action_id=one.action_id,
        seq=one.seq,
        action=one.mitigation,
        title=titles.get(one.mitigation, one.mitigation),
        touches=list(proposal.touches),
        case_id=case.case_id,
        packet_id=case.case_id,
        packet_hash=approval.packet_hash,
        week=case.week,
        account_id=case.account_id,
        category=case.category,
        owner_email=case.owner_email,
        follow_up_on=case.follow_up_on,
        desk_url=f"{origin}/cases/{case.case_id}",
        approval=GivenApproval(
            event_id=approval.event_id,
            ledger_seq=one.approval_seq,
            ledger_hash=one.approval_hash,
            approved_by=approval.approved_by,
            approved_at=approval.approved_at,
            valid_until=approval.expires_at,
            proposed_by=proposal.proposed_by,
            proposed_at=proposal.proposed_at,
            second_person=approval.four_eyes,
            severity=approval.severity,
            message_digest=approval.message_digest,
        ),
    )


CSV_COLUMNS = (
    *(name for name in GivenAction.model_fields if name != "approval"),
    *(f"approval_{name}" for name in GivenApproval.model_fields),
)


def csv_row(one: GivenAction) -> list[object]:
    """An action as a row of `CSV_COLUMNS`."""
    plain = one.model_dump(mode="json")
    approval = plain.pop("approval")
    plain["touches"] = " ".join(one.touches)
    return [*plain.values(), *approval.values()]


def json_answer(model: BaseModel) -> Response:
    """A model as an answer."""
    return Response(model.model_dump_json(), media_type="application/json")


def feed_problem(status: HTTPStatus, sentence: str) -> Response:
    """What went wrong, for a system to read."""
    body = Problem(status=status.value, title=status.phrase, detail=sentence).model_dump_json()
    return Response(body, status.value, media_type="application/problem+json")


def openapi_document() -> dict[str, Any]:
    """The schema of the addresses other systems pull from, as OpenAPI 3.1; the desk serves no schema itself."""
    said = {
        401: {"model": Problem, "description": "No token, or one that counts no longer."},
        429: {"model": Problem, "description": "Too often; wait for `Retry-After` seconds."},
    }
    router = APIRouter(prefix=FEED_PATH, responses=said)  # type: ignore[arg-type]

    @router.get("", response_model=ActionPage, operation_id="list_actions", summary="Approved actions that hold now")
    def list_actions(
        after: Annotated[int, Query(ge=0, description="`next_after` of the page before; 0 for the whole queue.")] = 0,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = PAGE_SIZE,
    ) -> None: ...

    @router.get(
        "/{action_id}",
        response_model=CheckedAction,
        operation_id="check_action",
        summary="Whether one action still is approved: ask before doing it",
        responses={
            404: {"model": Problem, "description": "No approved action of that id was ever given to this system."},
            410: {"model": Problem, "description": "It was given to this system, and is approved no longer: leave it."},
        },
    )
    def check_action(action_id: Annotated[str, Path()]) -> None: ...

    app = FastAPI(
        title="Approved actions of the review desk",
        version="1",
        description="Read-only. The desk sends nothing to customers; who pulls an action answers for it.",
    )
    app.include_router(router)
    document = app.openapi()
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    for path in document["paths"].values():
        # The desk answers 400 with a sentence where the framework would answer 422.
        for operation in path.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    return document
