"""Candidates, the gate, releases, rollback.

In: this run's tables and the current release. Out: immutable releases. Never: a release without a passing verdict.
"""
