"""Charts and self-contained HTML reports.

In: a published release. Out: one HTML file per review. Never: a request that leaves the page.
"""
