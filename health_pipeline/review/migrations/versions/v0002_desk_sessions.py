"""The desk's own tables: sessions, sign-ins under way, which subject of the provider is which address."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "desk_session",
        sa.Column("session_id", sa.String(64), primary_key=True),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("method", sa.String(10), nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        sa.Column("client", sa.String(200), nullable=False),
        sa.Column("notices", sa.Text),
    )
    op.create_index("ix_desk_session_email", "desk_session", ["email"])
    op.create_table(
        "desk_sign_in",
        sa.Column("sign_in_id", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(64), nullable=False),
        sa.Column("nonce", sa.String(64), nullable=False),
        sa.Column("verifier", sa.String(128), nullable=False),
        sa.Column("next_path", sa.String(500), nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "desk_identity",
        sa.Column("issuer", sa.String(300), primary_key=True),
        sa.Column("subject", sa.String(300), primary_key=True),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("bound_at", sa.DateTime, nullable=False),
    )
    op.create_index("ix_desk_identity_email", "desk_identity", ["email"])


def downgrade() -> None:
    """Never: a ledger is not taken back."""
    raise NotImplementedError("A ledger's tables are never taken back; restore a copy of the database instead.")
