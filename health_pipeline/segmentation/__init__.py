"""The quarterly segmentation review.

In: features at a quarter's last week, outcomes, strategies that were tried, all from the published release. Out: models
in the registry, assignments, and the judgement of the segments. Never: campaign design.

`review.review_segments` is the whole of it as one pure function. It returns a `review.SegmentationReview`, which holds
for reports and notebooks what the tables hold and more: candidates with every figure and resampling setting
(`fit.candidates`), stability (`over_time`), `performance`, `strategies`, `personas`, `teams`, `costs`, and each
`figures.Figure` with estimate, interval, n, events, p-values, method and verdict. In the mart: segment_models
(`figures` is JSON of all solutions that were looked at, with seeds and settings), segment_stability_quarterly and
segment_figures_quarterly (one row per figure, `method` says how), segment_performance_quarterly,
persona_alignment_quarterly, segment_reconciliation_quarterly. `methods/` has the statistics, on any array or frame.
"""
