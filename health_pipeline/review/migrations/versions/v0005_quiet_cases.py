"""Whether a case is quiet, as a column: the queue sets quiet cases aside without reading their documents."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COLUMNS = (
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
)


def upgrade() -> None:
    """Add the column, fill it from the cases, and make the queue's index anew with it."""
    op.add_column("ledger_case", sa.Column("is_quiet", sa.Boolean, nullable=False, server_default=sa.false()))
    table = sa.table("ledger_case", sa.column("case_id"), sa.column("document"), sa.column("is_quiet"))
    connection = op.get_bind()
    rows = connection.execute(sa.select(table.c.case_id, table.c.document)).all()
    quiet = [row.case_id for row in rows if json.loads(row.document).get("is_quiet")]
    for start in range(0, len(quiet), 500):
        part = table.c.case_id.in_(quiet[start : start + 500])
        connection.execute(sa.update(table).where(part).values(is_quiet=sa.true()))
    op.drop_index("ledger_case_order", "ledger_case")
    op.create_index("ledger_case_order", "ledger_case", list(COLUMNS))


def downgrade() -> None:
    """Never: a ledger is not taken back."""
    raise NotImplementedError("A ledger's tables are never taken back; restore a copy of the database instead.")
