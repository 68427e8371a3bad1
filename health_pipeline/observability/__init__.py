"""What runs say about themselves: structured logs and run summaries.

In: plain values. Out: log lines. Never: customer text, people's names, secrets.
"""
