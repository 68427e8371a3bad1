"""A frozen segment model: enough to say which segment an account belongs to, and read back from its published row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from health_pipeline.segmentation.space import Floats, Space

UNSEGMENTED = "unsegmented"


@dataclass(frozen=True)
class SegmentModel:
    """Space, centres and names, in the order in which segments are listed.

    Attributes
    ----------
    centres : shape (k, axes)
    names : k names
    """

    space: Space
    centres: Floats
    names: tuple[str, ...]

    @classmethod
    def from_json(cls, parameters: str) -> SegmentModel:
        """Read the `parameters` of a row of segment_models."""
        read: dict[str, Any] = json.loads(parameters)
        space = Space.from_parameters(read["space"])
        centres = np.array(read["centres"], dtype=np.float64).reshape(len(read["names"]), len(space.axes))
        return cls(space, centres, tuple(read["names"]))

    def to_json(self, **notes: Any) -> str:
        """The `parameters` of a row of segment_models; `notes` are kept beside them."""
        plain = {
            "space": self.space.parameters(),
            "centres": self.centres.tolist(),
            "names": list(self.names),
            **notes,
        }
        return json.dumps(plain, sort_keys=True)

    def assign(self, features: pd.DataFrame) -> pd.DataFrame:
        """Put accounts into the segment with the nearest centre.

        Parameters
        ----------
        features : DataFrame, shape (n, columns of account_features_weekly)

        Returns
        -------
        DataFrame, shape (n, 3), same index
            segment ('unsegmented' where too little is known), unsegmented_reason (None where segmented),
            distance_to_centre (NaN where not).
        """
        positions, coverage = self.space.place(features)
        distances = np.sqrt(((positions[:, None, :] - self.centres[None, :, :]) ** 2).sum(axis=2))
        nearest = distances.argmin(axis=1)
        is_known = coverage >= self.space.minimum_coverage
        missing = self.space.missing_dimensions(features)
        reasons = [
            None
            if known
            else f"{share:.0%} of the features are known, {self.space.minimum_coverage:.0%} are needed; "
            f"missing: {dimensions}"
            for known, share, dimensions in zip(is_known, coverage, missing, strict=True)
        ]
        segments = [self.names[n] if known else UNSEGMENTED for n, known in zip(nearest, is_known, strict=True)]
        return pd.DataFrame(
            {
                "segment": pd.Series(segments, index=features.index, dtype=object),
                "unsegmented_reason": pd.Series(reasons, index=features.index, dtype=object),
                "distance_to_centre": pd.Series(
                    np.where(is_known, distances.min(axis=1, initial=np.inf), np.nan), index=features.index
                ),
            }
        )
