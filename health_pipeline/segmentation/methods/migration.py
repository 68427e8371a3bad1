"""Where the accounts of each segment went between two quarters: shares with intervals, who came and who left."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from health_pipeline.segmentation.methods.intervals import Interval, wilson

ENTERED, LEFT = "entered", "left"


@dataclass(frozen=True)
class MigrationCell:
    """Accounts that went from one segment to another; `share` is of those of the segment they came from."""

    before: str
    after: str
    accounts: int
    of_accounts: int
    share: Interval


@dataclass(frozen=True)
class Migration:
    """Every cell of the matrix, and how many of those in both quarters kept their segment.

    `kept` is None where no account is in both quarters.
    """

    cells: tuple[MigrationCell, ...]
    kept: Interval | None
    entries: int
    exits: int

    def matrix(self) -> pd.DataFrame:
        """Accounts by segment before (rows; `entered` for those that were not there) and after (columns; `left`)."""
        rows = [(cell.before, cell.after, cell.accounts) for cell in self.cells]
        long = pd.DataFrame(rows, columns=["before", "after", "accounts"])
        return long.pivot(index="before", columns="after", values="accounts").fillna(0).astype(int)


def migration(before: pd.Series, after: pd.Series, confidence: float = 0.95) -> Migration:
    """Cross two quarters' segments of accounts.

    Parameters
    ----------
    before, after : segment by account; each index unique. Segments that are the same have the same name: match them
        first
    confidence : of Wilson's interval of each share

    Raises
    ------
    ValueError
        If an account has two segments in a quarter.
    """
    for when, series in (("before", before), ("after", after)):
        if series.index.has_duplicates:
            one = series.index[series.index.duplicated()][0]
            raise ValueError(f"account {one} has two segments {when}; give it one")
    both = pd.DataFrame({"before": before, "after": after}).astype(object)
    both["before"] = both["before"].where(both["before"].notna(), ENTERED)
    both["after"] = both["after"].where(both["after"].notna(), LEFT)
    counts = pd.crosstab(both["before"], both["after"])
    cells = []
    for old in counts.index:
        total = int(counts.loc[old].sum())
        cells += [
            MigrationCell(str(old), str(new), int(n), total, wilson(int(n), total, confidence))
            for new, n in counts.loc[old].items()
            if (old, new) != (ENTERED, LEFT)
        ]
    stayed = both[(both["before"] != ENTERED) & (both["after"] != LEFT)]
    same = int((stayed["before"] == stayed["after"]).sum())
    return Migration(
        cells=tuple(cells),
        kept=wilson(same, len(stayed), confidence) if len(stayed) else None,
        entries=int((both["before"] == ENTERED).sum()),
        exits=int((both["after"] == LEFT).sum()),
    )
