"""Records of many systems become accounts.

In: landed `source_account` records, an override file. Out: accounts, links, the unmatched queue.
Never: a link without method, confidence and evidence.
"""
