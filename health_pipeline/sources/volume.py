"""The volume check: a load much smaller or larger than those before it waits for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from health_pipeline.sources.records import LoadRecord

# Fewer loads than these say nothing about what is usual; older ones than these no longer do.
LOADS_NEEDED = 4
LOADS_REMEMBERED = 12
# Below these rows a ratio is chance: 3 rows after 1 are no alarm.
ROWS_JUDGED = 50


def outside_band(
    history: Sequence[LoadRecord], rows: Mapping[str, int], band: tuple[float, float], source: str
) -> list[str]:
    """Say which tables of a load are outside the band around the median of the loads before it.

    Parameters
    ----------
    history : the committed incremental loads of the same system, in order
    rows : rows of each table in the load that is judged
    band : lowest and highest share of the median
    source : how sentences name the source

    Returns
    -------
    list of str
        One sentence per table, none where all is usual. A count that a remembered load had already (a monthly invoice
        run among weekly loads) is usual.
    """
    sentences = []
    for table, count in rows.items():
        before = [
            record_table.rows for record in history for record_table in record.tables if record_table.table == table
        ][-LOADS_REMEMBERED:]
        if len(before) < LOADS_NEEDED:
            continue
        usual = median(before)
        lowest = min(band[0] * usual, *before)
        highest = max(band[1] * max(usual, ROWS_JUDGED), *before)
        if (usual >= ROWS_JUDGED and count < lowest) or count > highest:
            sentences.append(
                f"{source}: {count:,} rows of {table} where the last {len(before)} loads had {usual:,.0f} in "
                f"the median (band {band[0]:.0%} to {band[1]:.0%})"
            )
    return sentences
