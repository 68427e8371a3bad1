"""The weekly score and its tiers.

In: features, policy, last week's tiers. Out: scores, exact contributions, tiers.
Never: a guess where data is missing.
"""
