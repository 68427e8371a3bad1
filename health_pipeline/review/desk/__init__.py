"""The review desk: the pages on which people look at risks and decide about them.

In: the ledger, the published release, the restricted store. Out: pages, and decisions handed to the ledger. Never: a
decision of its own, a message to a customer, a request to another host but the sign-in provider's.
"""
