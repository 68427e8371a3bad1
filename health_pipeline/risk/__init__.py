"""Signals, evidence, packets, briefs.

In: features and landed records. Out: packets for a person to decide.
Never: a prediction about a named account.
Arrives with the customer risk review; empty until then.
"""
