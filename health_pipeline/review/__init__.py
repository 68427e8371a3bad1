"""The ledger, the state machine, the desk.

In: published packets, people's decisions. Out: an append-only ledger. Never: an effect without an approval.

`Ledger.open(settings)` opens it; use it in a `with` block. Of it:

- `cases(CaseFilter(...))`, `count(...)`, `case(case_id)`: cases as they are, in the queue's order.
  `queue_reason(case, now)` says why one waits, `approval_holds(case, now)` whether its approval has an effect,
  `states.possible(state)` what may be asked for.
- `decide(case_id, action, actor, case_version, idempotency_key, form)`: a `Decision` (event, case after it) or a
  `Refusal` (event, case, the stop rules with reason and who may release each). `ConflictError.case` is the case as it
  is now; `FormError` names a field. Actions, their states, permissions and guards: `states.TRANSITIONS`; their fields:
  `forms.FORMS`; the stop rules: `stop_rules.STOP_RULES`; who may: `permissions.GRANTS`, `permissions.covers`.
- `events(case_id=..., account_id=..., types=..., after_seq=...)`, `texts(references)`: history, and what people wrote.
- `intake(release)`: a published release's packets become cases, and so do the accounts it drew at random;
  `expire_due()`: approvals and acceptances that ran out.
- `set_person`, `people`, `person`; `set_four_eyes`; `erase_text`.
- `override(OverrideRequest(...))`, `overrides()`: a tier against the rule, asked for by one person and set by another;
  `landed_overrides` brings them into the next weekly review.
- `measurement.measured_as(event)`: which measurement an event is; `landed_decisions` brings the events back as landed
  records, each once.
- `verify(anchors)`, `head()`, `rebuild()`: the chain, and the cases made anew from it.
"""

from health_pipeline.review.cases import Case, Event, TextRef, approval_holds, queue_reason
from health_pipeline.review.database import LedgerError, LedgerTooNewError
from health_pipeline.review.decisions import Decision, Refusal
from health_pipeline.review.failures import ConflictError, IdempotencyError, UnknownCaseError
from health_pipeline.review.forms import FormError
from health_pipeline.review.intake import IncomingPacket, Intake
from health_pipeline.review.ledger import Ledger
from health_pipeline.review.overrides import Override, OverrideRefusedError
from health_pipeline.review.overriding import OverrideRequest
from health_pipeline.review.permissions import Person
from health_pipeline.review.projection import CaseFilter

__all__ = [
    "Case",
    "CaseFilter",
    "ConflictError",
    "Decision",
    "Event",
    "FormError",
    "IdempotencyError",
    "IncomingPacket",
    "Intake",
    "Ledger",
    "LedgerError",
    "LedgerTooNewError",
    "Override",
    "OverrideRefusedError",
    "OverrideRequest",
    "Person",
    "Refusal",
    "TextRef",
    "UnknownCaseError",
    "approval_holds",
    "queue_reason",
]
