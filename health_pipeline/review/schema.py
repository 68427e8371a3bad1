"""The ledger's tables, as the code reads and writes them; the migrations make them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    false,
)

from health_pipeline.contract.event_chain import EVENT_TABLE

METADATA = MetaData()
# Where Alembic notes what it did; a name of its own, because others keep tables in the same database.
VERSION_TABLE = "ledger_schema_version"
EMAIL = String(320)

# Append only, hash chained. Everything else here follows from it, but for the words in `ledger_text`.
EVENT = Table(
    EVENT_TABLE,
    METADATA,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("event_id", String(40), nullable=False, unique=True),
    Column("case_id", String(64), index=True),
    Column("case_version", Integer),
    Column("type", String(40), nullable=False, index=True),
    Column("actor", EMAIL, nullable=False),
    Column("at", DateTime, nullable=False),
    Column("payload", Text, nullable=False),
    Column("packet_hash", String(64)),
    Column("idempotency_key", String(128), unique=True),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
# The cases as they are now: the events folded. `document` is the whole case; the columns are for the queue.
CASE = Table(
    "ledger_case",
    METADATA,
    Column("case_id", String(64), primary_key=True),
    Column("account_id", String(64), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("severity", String(10)),
    Column("severity_rank", Integer, nullable=False),
    Column("category", String(40), nullable=False),
    Column("owner_email", EMAIL),
    Column("value_at_risk", Numeric(18, 2)),
    Column("renewal_on", Date),
    Column("follow_up_on", Date),
    # In the queue from this day on; null where nothing is awaited of anybody.
    Column("waits_from", Date),
    Column("is_quiet", Boolean, nullable=False, server_default=false()),
    Column("document", Text, nullable=False),
    Index("ledger_case_queue", "waits_from", "owner_email"),
    # Every column the desk's queue filters and orders by: it never reads the documents to find its page.
    Index(
        "ledger_case_order",
        "follow_up_on",
        "waits_from",
        "is_quiet",
        "state",
        "owner_email",
        "severity",
        "severity_rank",
        "value_at_risk",
        "renewal_on",
        "category",
        "account_id",
        "case_id",
    ),
)
# What people wrote. The chain holds a keyed digest of it, so a text can be erased and the chain stays whole.
TEXT = Table(
    "ledger_text",
    METADATA,
    Column("text_id", String(40), primary_key=True),
    Column("case_id", String(64), index=True),
    Column("field", String(40), nullable=False),
    # JSON, so that every character a person can type can be stored in every database.
    Column("body", Text),
    # Erased together with the text: without it nobody can try guesses against the digest.
    Column("salt", LargeBinary),
    Column("digest", String(64), nullable=False),
    Column("erased_at", DateTime),
)
# Who may do what: the newest user events, folded.
USER = Table(
    "ledger_user",
    METADATA,
    Column("email", EMAIL, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("role", String(20), nullable=False),
    Column("team", String(100)),
    Column("is_active", Boolean, nullable=False),
)
# The desk's own rows: who is signed in. No part of the chain; losing them signs everybody out, and nothing else.
DESK_SESSION = Table(
    "desk_session",
    METADATA,
    Column("session_id", String(64), primary_key=True),
    Column("email", EMAIL, nullable=False, index=True),
    Column("method", String(10), nullable=False),
    Column("started_at", DateTime, nullable=False),
    Column("seen_at", DateTime, nullable=False),
    Column("client", String(200), nullable=False),
    Column("notices", Text),
)
DESK_SIGN_IN = Table(
    "desk_sign_in",
    METADATA,
    Column("sign_in_id", String(64), primary_key=True),
    Column("state", String(64), nullable=False),
    Column("nonce", String(64), nullable=False),
    Column("verifier", String(128), nullable=False),
    Column("next_path", String(500), nullable=False),
    Column("started_at", DateTime, nullable=False),
)
# A provider's subject keeps the address it first came with: an address can be given to another person, a subject can't.
DESK_IDENTITY = Table(
    "desk_identity",
    METADATA,
    Column("issuer", String(300), primary_key=True),
    Column("subject", String(300), primary_key=True),
    Column("email", EMAIL, nullable=False, index=True),
    Column("bound_at", DateTime, nullable=False),
)
# Other systems that pull approved actions: the hash of each token, and until when it counts. Making and revoking one is
# an event; these rows can't give more than that event says.
DESK_TOKEN = Table(
    "desk_token",
    METADATA,
    Column("token_id", String(16), primary_key=True),
    Column("token_hash", String(64), nullable=False),
    Column("system", String(40), nullable=False),
    Column("created_by", EMAIL, nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("expires_at", DateTime, nullable=False),
    Column("revoked_at", DateTime),
    Column("used_at", DateTime),
)
