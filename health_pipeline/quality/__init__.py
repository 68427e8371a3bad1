"""Audits the candidate release; incidents.

In: a candidate file, the expectation suites. Out: a verdict, incidents with owner and row ids. Never: a repair.
"""
