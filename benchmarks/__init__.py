"""How long the review takes and what it needs: run by `make bench`, imported by nothing in the project.

In: a scale. Out: `docs/benchmarks.md` and a JSON beside the state folders. The yardsticks (bare SQL, pandas) compute
features a second time on purpose, and live here alone for that reason.
"""
