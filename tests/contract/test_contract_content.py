"""The content hash: blind to order, file and run; not to any value. The JSON text that events are hashed by."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from health_pipeline.contract.content import canonical_json, content_hash, json_text
from health_pipeline.contract.event_chain import GENESIS, event_hash

TABLE = pa.table(
    {
        "account_id": ["a", "b", None],
        "week": [date(2026, 11, 9)] * 3,
        "score": [1.0, None, -0.0],
        "arr": pa.array([Decimal("10.00"), None, Decimal("0.10")], pa.decimal128(18, 2)),
    }
)


def replaced(column: str, values: list) -> pa.Table:
    index = TABLE.column_names.index(column)
    return TABLE.set_column(index, column, pa.array(values, TABLE.schema.field(column).type))


def test_order_of_rows_and_columns_and_the_run_do_not_count():
    shuffled = TABLE.take([2, 0, 1]).select(["arr", "score", "week", "account_id"])
    assert content_hash(shuffled) == content_hash(TABLE)
    assert content_hash(TABLE.append_column("published_at", pa.array([1, 2, 3]))) == content_hash(TABLE)


def test_noise_of_floating_point_sums_does_not_count():
    assert content_hash(replaced("score", [1.0 + 1e-12, None, 0.0])) == content_hash(TABLE)


@pytest.mark.parametrize(
    "other",
    [
        replaced("score", [1.0 + 1e-8, None, 0.0]),
        replaced("score", [1.0, 0.0, 0.0]),
        replaced("account_id", ["a", "b", ""]),
        replaced("arr", [Decimal("10.01"), None, Decimal("0.10")]),
        TABLE.slice(0, 2),
        TABLE.rename_columns(["account", "week", "score", "arr"]),
        pa.concat_tables([TABLE, TABLE.slice(0, 1)]),
    ],
    ids=["value", "null_is_not_zero", "null_is_not_empty", "cent", "row_gone", "renamed", "row_twice"],
)
def test_every_difference_counts(other):
    assert content_hash(other) != content_hash(TABLE)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.text(alphabet="ab|;nv", max_size=4), st.text(alphabet="ab|;nv", max_size=4)), max_size=6))
def test_separators_in_texts_never_make_two_contents_alike(rows):
    table = pa.table(
        {"x": [row[0] for row in rows], "y": [row[1] for row in rows]},
        pa.schema([("x", pa.string()), ("y", pa.string())]),
    )
    joined = pa.table(
        {"x": [row[0] + "|;|v" + row[1] for row in rows], "y": ["" for _ in rows]},
        pa.schema([("x", pa.string()), ("y", pa.string())]),
    )
    assert (content_hash(table) == content_hash(joined)) == (not rows)


def test_an_event_is_hashed_as_ever() -> None:
    """The text that is hashed is written out: numbers as they are, so that ledgers that exist keep their hashes."""
    row = {
        "seq": 1, "event_id": "e-1", "case_id": "p-1", "case_version": 1, "type": "proposed", "actor": "é@example.com",
        "at": datetime(2026, 11, 18, 9, tzinfo=UTC), "payload": '{"hours":0.12345678901}', "packet_hash": None,
        "idempotency_key": None,
    }  # fmt: skip
    written = (
        '{"actor":"\\u00e9@example.com","at":"2026-11-18T09:00:00.000000","case_id":"p-1","case_version":1,'
        '"event_id":"e-1","idempotency_key":null,"packet_hash":null,"payload":"{\\"hours\\":0.12345678901}",'
        f'"prev_hash":"{GENESIS}","seq":1,"type":"proposed"}}'
    )
    assert event_hash(GENESIS, row) == hashlib.sha256(written.encode()).hexdigest()
    assert json_text({"b": 0.12345678901, "a": [True, None]}) == '{"a":[true,null],"b":0.12345678901}'
    assert canonical_json({"b": 0.12345678901}) == '{"b":0.123456789}'
