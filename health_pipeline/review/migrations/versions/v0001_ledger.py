"""The first tables: events, cases, texts, users."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "ledger_event",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("event_id", sa.String(40), nullable=False, unique=True),
        sa.Column("case_id", sa.String(64)),
        sa.Column("case_version", sa.Integer),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("actor", sa.String(320), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("packet_hash", sa.String(64)),
        sa.Column("idempotency_key", sa.String(128), unique=True),
        sa.Column("prev_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_index("ix_ledger_event_case_id", "ledger_event", ["case_id"])
    op.create_index("ix_ledger_event_type", "ledger_event", ["type"])
    op.create_table(
        "ledger_case",
        sa.Column("case_id", sa.String(64), primary_key=True),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("severity", sa.String(10)),
        sa.Column("severity_rank", sa.Integer, nullable=False),
        sa.Column("category", sa.String(40), nullable=False),
        sa.Column("owner_email", sa.String(320)),
        sa.Column("value_at_risk", sa.Numeric(18, 2)),
        sa.Column("renewal_on", sa.Date),
        sa.Column("follow_up_on", sa.Date),
        sa.Column("waits_from", sa.Date),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("ix_ledger_case_account_id", "ledger_case", ["account_id"])
    op.create_index("ledger_case_queue", "ledger_case", ["waits_from", "owner_email"])
    op.create_table(
        "ledger_text",
        sa.Column("text_id", sa.String(40), primary_key=True),
        sa.Column("case_id", sa.String(64)),
        sa.Column("field", sa.String(40), nullable=False),
        sa.Column("body", sa.Text),
        sa.Column("salt", sa.LargeBinary),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("erased_at", sa.DateTime),
    )
    op.create_index("ix_ledger_text_case_id", "ledger_text", ["case_id"])
    op.create_table(
        "ledger_user",
        sa.Column("email", sa.String(320), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("team", sa.String(100)),
        sa.Column("is_active", sa.Boolean, nullable=False),
    )


def downgrade() -> None:
    """Never: a ledger is not taken back."""
    raise NotImplementedError("A ledger's tables are never taken back; restore a copy of the database instead.")
