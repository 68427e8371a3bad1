"""Brings source systems into the landing.

In: the demo company, a user's files, (later) vendor APIs. Out: committed, append-only Parquet loads.
Never: features, identity, anything computed about an account.
"""
