"""The index in which the desk's queue finds its page: every column it filters and orders by."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = (
    "follow_up_on",
    "waits_from",
    "state",
    "owner_email",
    "severity",
    "severity_rank",
    "value_at_risk",
    "renewal_on",
    "category",
    "account_id",
    "case_id",
)


def upgrade() -> None:
    """Make the index."""
    op.create_index("ledger_case_order", "ledger_case", list(COLUMNS))


def downgrade() -> None:
    """Never: a ledger is not taken back."""
    raise NotImplementedError("A ledger's tables are never taken back; restore a copy of the database instead.")
