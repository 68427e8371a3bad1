"""The ledger, the state machine, the desk.

In: published packets, people's decisions. Out: an append-only ledger. Never: an effect without an approval.
Arrives with the review desk; empty until then.
"""
