"""What people wrote: beside the chain, which holds a keyed digest of it, so that erasing leaves the chain whole."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, update

from health_pipeline.contract.clocks import naive_utc
from health_pipeline.review.database import LedgerError
from health_pipeline.review.events import Draft
from health_pipeline.review.fold import TEXT_ERASED
from health_pipeline.review.people import find_person
from health_pipeline.review.permissions import covers
from health_pipeline.review.projection import find_cases
from health_pipeline.review.schema import TEXT

KEY_BYTES = 32
SALT_BYTES = 16


def text_key(path: Path) -> bytes:
    """The key of the digests; made where it is missing, readable by its owner alone.

    Raises
    ------
    LedgerError
        If the file can be read by others, or holds no key.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(KEY_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        # Of two processes that make one, the first counts; nobody ever sees half a key.
        with suppress(FileExistsError):
            os.link(beside, path)
        beside.unlink()
    if path.stat().st_mode & 0o077:
        raise LedgerError(f"{path} can be read by others than its owner; run `chmod 600 {path}`.")
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (ValueError, UnicodeDecodeError) as error:
        raise LedgerError(f"{path} holds no key of hexadecimal digits; restore it from a copy.") from error
    if len(key) < KEY_BYTES:
        raise LedgerError(f"{path} holds {len(key)} bytes, {KEY_BYTES} are needed; restore it from a copy.")
    return key


def store_texts(connection: Connection, key: bytes, case_id: str | None, texts: Mapping[str, str]) -> dict[str, Any]:
    """Keep texts, and return what the chain holds of each: `{field: {text_id, digest}}`."""
    rows, references = [], {}
    for name, text in texts.items():
        text_id, salt = f"t-{uuid.uuid4().hex}", secrets.token_bytes(SALT_BYTES)
        found = _digest(key, salt, text)
        rows.append(
            {
                "text_id": text_id,
                "case_id": case_id,
                "field": name,
                "body": json.dumps(text),
                "salt": salt,
                "digest": found,
            }
        )
        references[name] = {"text_id": text_id, "digest": found}
    if rows:
        connection.execute(TEXT.insert(), rows)
    return references


def read_texts(connection: Connection, text_ids: list[str]) -> dict[str, str | None]:
    """Texts by id; None for one that was erased."""
    rows = connection.execute(select(TEXT.c.text_id, TEXT.c.body).where(TEXT.c.text_id.in_(text_ids)))
    return {row.text_id: None if row.body is None else json.loads(row.body) for row in rows}


def erasing_draft(connection: Connection, text_id: str, by: str, now: datetime) -> Draft | None:
    """Erase a text and its salt, and return the event that says so; None where it was erased before.

    Raises
    ------
    LedgerError
        If `by` may not, or there is no such text.
    """
    row = connection.execute(select(TEXT.c.case_id, TEXT.c.field, TEXT.c.body).where(TEXT.c.text_id == text_id)).first()
    if row is None:
        raise LedgerError(f"There is no text {text_id!r}.")
    case = find_cases(connection, [row.case_id]).get(row.case_id) if row.case_id else None
    owner = find_person(connection, case.owner_email) if case else None
    is_allowed = covers(
        find_person(connection, by), "erase_text", case.owner_email if case else None, owner.team if owner else None
    )
    if not is_allowed:
        raise LedgerError(f"{by} may not erase texts of this case; a lead of the team or an admin does.")
    if row.body is None:
        return None
    values = {"body": None, "salt": None, "erased_at": naive_utc(now)}
    connection.execute(update(TEXT).where(TEXT.c.text_id == text_id).values(**values))
    version = case.version if case else None
    return Draft(TEXT_ERASED, by, now, {"text_id": text_id, "field": row.field}, row.case_id, version)


def changed_texts(connection: Connection, key: bytes) -> list[str]:
    """Ids of texts that no longer give their digest: somebody edited them."""
    rows = connection.execute(select(TEXT).where(TEXT.c.body.is_not(None)).order_by(TEXT.c.text_id))
    return [
        row.text_id
        for row in rows
        if row.salt is None or not hmac.compare_digest(_digest(key, row.salt, json.loads(row.body)), row.digest)
    ]


def _digest(key: bytes, salt: bytes, text: str) -> str:
    return hmac.new(key, salt + text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
