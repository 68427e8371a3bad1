"""Partitions, jobs, schedules, sensors, resources: how the rooms run in Dagster.

In: the rooms' assets. Out: Dagster definitions. Never: business rules.
"""
