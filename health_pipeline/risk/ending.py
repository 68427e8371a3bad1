"""What the packet of a risk that a person has ended says of it: what was decided, what was done, what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from health_pipeline.contract.case_states import ENDED
from health_pipeline.policy.wording import counted
from health_pipeline.risk.packet import Packet
from health_pipeline.risk.phrasing import day, sentence, words

HEADING = "What happened"


def ending_facts(packet: Packet) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind and values of each fact of the ending; none while the risk is open.

    Notes
    -----
    The outcome is what a person recorded. What is observed after a review is no proof that the review caused it.
    """
    case = packet.case
    if packet.state not in ENDED or case.ended_at is None:
        return
    yield (
        "ending",
        {
            "state": packet.state,
            "ended_on": case.ended_at.date(),
            "reason": case.dismissal_reason,
            "outcome": packet.outcome,
            "remains": packet.residual_actual,
        },
    )
    yield (
        "done",
        {
            "decision": packet.decision if case.approved_at else None,
            "approved_on": case.approved_at.date() if case.approved_at else None,
            "actions": case.actions_taken or 0,
            "responses": case.responses_recorded or 0,
        },
    )


def _ending(values: Mapping[str, Any]) -> str:
    reason = f", as {words(values['reason'])}" if values["reason"] else ""
    outcome = "No outcome is recorded."
    if values["outcome"]:
        outcome = (
            f"The outcome a person recorded: {words(values['outcome'])}; observed, and nothing says that the review "
            "caused it."
        )
    remains = f" The risk that remains is {values['remains']}." if values["remains"] else ""
    return f"{sentence(words(values['state']))} on {day(values['ended_on'])}{reason}. {outcome}{remains}"


_DECISIONS = {"mitigate": "Acting on it", "accept": "Carrying the risk"}


def _done(values: Mapping[str, Any]) -> str:
    approved = "Nothing was approved"
    if values["approved_on"]:
        approved = f"{_DECISIONS[values['decision']]} was approved on {day(values['approved_on'])}"
    actions, answers = counted(values["actions"], "action"), counted(values["responses"], "answer")
    return f"{approved}; {actions} and {answers} of the customer were recorded."


ENDING_WRITERS: dict[str, Callable[[Mapping[str, Any]], str]] = {"ending": _ending, "done": _done}
