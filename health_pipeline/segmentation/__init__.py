"""The quarterly segmentation review.

In: features at a quarter's last week. Out: a model in the registry, assignments. Never: campaign design.
"""
