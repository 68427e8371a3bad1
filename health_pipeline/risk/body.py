"""A packet's body: the packet, its facts by label and its brief as plain JSON. Texts are references, never words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

from health_pipeline.contract.content import canonical_hash, json_text, plain_value
from health_pipeline.mart.account_facts import RecordKey, RecordText
from health_pipeline.risk.brief import write_brief
from health_pipeline.risk.citations import Citation, citations_of
from health_pipeline.risk.packet import Packet

FORMAT = 1
# Told by the packet's citations, or looked up by account and week: not written twice.
_ELSEWHERE = ("facts",)
# Values without parts, beside texts, whole numbers and nothing.
_NO_PARTS = (float, date, Decimal)


def text_key(text: RecordText) -> str:
    """The key of a text in the one place of texts: its record, version and column."""
    return canonical_hash([*(getattr(text.record, part.name) for part in fields(RecordKey)), text.column])[:32]


@dataclass(frozen=True)
class PacketBody:
    """A body as it is stored.

    Attributes
    ----------
    text : canonical JSON of `format`, `packet` (every field), `citations` (facts by label) and `brief` (heading, text
        with placeholders, cited labels); the same packet gives the same text
    texts : every text that the packet's facts show, by key, in the order of the keys
    keys : of these, and of texts that an earlier reading of the record may have kept and this one has not
    """

    text: str
    texts: Mapping[str, RecordText]
    keys: tuple[str, ...]


def body_of(packet: Packet) -> PacketBody:
    """The body of a packet."""
    citations = citations_of(packet)
    own = {part.name: getattr(packet, part.name) for part in fields(packet) if part.name not in _ELSEWHERE}
    brief = [{"section": one.section, "text": one.text, "cites": one.cites} for one in write_brief(citations)]
    told = {one.label: _citation(one) for one in citations}
    body = {"format": FORMAT, "packet": _plain(own), "citations": told, "brief": brief}
    cited = {told[one.label]["texts"][name]["key"]: slot.text for one in citations for name, slot in one.texts.items()}
    texts = {key: cited[key] for key in sorted(cited) if cited[key].text}
    # plain already: another walk through all of it took a fifth of the time
    return PacketBody(json_text(body), texts, tuple(sorted(cited)))


def plain_citations(citations: Sequence[Citation]) -> dict[str, dict[str, Any]]:
    """Facts by label as plain JSON values; of a text its key, place and span."""
    plain: dict[str, dict[str, Any]] = json.loads(json_text({one.label: _citation(one) for one in citations}))
    return plain


def _citation(one: Citation) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "values": _plain(one.values),
        "record": None if one.record is None else _plain(one.record),
        "texts": {
            name: {
                "key": text_key(slot.text),
                "record": _plain(slot.text.record),
                "column": slot.text.column,
                "start": slot.start,
                "end": slot.end,
                "is_sensitive": slot.text.is_sensitive,
            }
            for name, slot in one.texts.items()
        },
        "supported_by": one.supported_by,
    }


def _plain(value: Any) -> Any:
    """As canonical JSON has it, dataclasses as mappings; a `RecordText` would be a customer's words in a body."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, _NO_PARTS):
        return plain_value(value)
    if isinstance(value, RecordText):
        raise TypeError("a text of a record belongs into the place of texts, not into a packet's body.")
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(getattr(value, name)) for name in _names(type(value))}
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(part.name for part in fields(kind))
