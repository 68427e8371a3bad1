"""Alembic's migrations of the ledger, oldest first in `versions/`; run when a ledger is opened."""
