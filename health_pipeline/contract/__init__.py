"""What every part relies on, as data: landing tables, mart tables, clocks, the content hash.

In: nothing. Out: frozen descriptions. Never: vendor names, policy numbers, connections.
"""
