"""The weekly score and its tiers.

In: features, policy, last week's tiers. Out: scores, exact contributions, tiers.
Never: a guess where data is missing.
"""

# On every row beside policy_version. Raise it when the same features and policy would score differently.
CODE_VERSION = "scoring-1"
