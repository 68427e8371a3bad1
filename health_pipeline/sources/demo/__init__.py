"""The demo company: a simulated software company whose nine source systems are delivered load by load.

In: a seed and a number of accounts. Out: one historical extract per source system and 52 weekly ones.
Never: anything computed for the review; the planted causes are for validation only and no part of an extract.
"""

from health_pipeline.sources.demo.company import DemoCompany

__all__ = ["DemoCompany"]
