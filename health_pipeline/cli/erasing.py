"""The command that deletes words for good: of a record in the restricted store, of a person in the ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from health_pipeline.cli.terminal import ByOption, ReasonOption, app, out
from health_pipeline.contract.clocks import SystemClock
from health_pipeline.orchestration.console import failing_in_one_sentence
from health_pipeline.settings import Settings

LEDGER_TEXT = "t-"
_PARTS = ("source_system", "source_instance", "source_table", "source_record_id")


@app.command()
def erase(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT...",
            help="SYSTEM/INSTANCE/TABLE/RECORD as `explain` prints it, or the id of a text in the ledger (t-...).",
        ),
    ],
    by: ByOption,
    reason: ReasonOption,
) -> None:
    """Delete texts for good, where somebody asks to be forgotten. It is recorded; a second time changes nothing.

    A record's texts disappear from every packet and brief, and later runs do not bring them back. The mart holds no
    text. The landing keeps what a source sent: delete it at the source too.
    """
    with failing_in_one_sentence(out):
        settings = Settings()
        # All are read before anything is deleted: a slip in the last one must not leave half of it done.
        records = [_record(name) for name in what if not name.startswith(LEDGER_TEXT)]
        for name in (one for one in what if one.startswith(LEDGER_TEXT)):
            _erase_written(settings, name, by, reason)
        for record in records:
            _erase_record(settings, record, by, reason)


def _record(name: str) -> dict[str, str]:
    parts = name.split("/", 3)
    if len(parts) != len(_PARTS) or not all(parts):
        raise ValueError(f"{name!r} names no record; give SYSTEM/INSTANCE/TABLE/RECORD, as `explain` prints it.")
    return dict(zip(_PARTS, parts, strict=True))


def _erase_record(settings: Settings, record: dict[str, str], by: str, reason: str) -> None:
    from health_pipeline.risk.restricted import erase_record  # noqa: PLC0415

    erased = erase_record(settings, record, by, reason, SystemClock().now())
    out.print(f"{'/'.join(record.values())}: {erased} texts deleted, by {by}; no later run keeps any of them.")


def _erase_written(settings: Settings, text_id: str, by: str, reason: str) -> None:
    from health_pipeline.review import Ledger  # noqa: PLC0415

    with Ledger.open(settings) as ledger:
        event = ledger.erase_text(text_id, by, reason)
    out.print(f"{text_id}: {'deleted' if event else 'was deleted before'}, by {by}; the chain is whole.")
