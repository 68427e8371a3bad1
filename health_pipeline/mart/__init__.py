"""Runs dbt and reads what it built.

In: committed loads, identity. Out: the feature mart as data frames. Never: a feature computed in Python.
"""
