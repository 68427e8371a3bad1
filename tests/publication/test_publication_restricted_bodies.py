"""Which bodies the kept releases refer to: those of every version of every week, each slice read once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from mart_builder import build_tables, weeks_from
from publishing import publish_weeks

from health_pipeline.contract.clocks import Week
from health_pipeline.publication import restricted_bodies
from health_pipeline.publication.restricted_bodies import bodies_of_releases
from health_pipeline.settings import Settings

FIRST, SECOND = weeks_from(0, 2)


def with_bodies(week: Week, version: str) -> dict[str, pa.Table]:
    """The tables of a week, each packet with the address of its body."""
    tables = build_tables([week])
    packets = tables["risk_packets"]
    place = packets.schema.get_field_index("body_sha256")
    addresses = [f"{name}-{week}-{version}" for name in packets["packet_id"].to_pylist()]
    tables["risk_packets"] = packets.set_column(place, packets.schema.field(place), pa.array(addresses))
    return tables


def addresses(week: Week, version: str) -> set[str]:
    return set(with_bodies(week, version)["risk_packets"]["body_sha256"].to_pylist())


def test_bodies_of_a_replaced_week_are_kept_as_long_as_its_release_is(settings: Settings) -> None:
    publish_weeks(settings, [FIRST], with_bodies(FIRST, "first"))
    publish_weeks(settings, [FIRST], with_bodies(FIRST, "again"), reason="a late invoice", restate=True)
    assert bodies_of_releases(settings) == addresses(FIRST, "first") | addresses(FIRST, "again")


def test_a_slice_that_two_releases_share_is_read_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_weeks(settings, [FIRST], with_bodies(FIRST, "first"))
    publish_weeks(settings, [SECOND], with_bodies(SECOND, "first"))
    publish_weeks(settings, [FIRST], with_bodies(FIRST, "again"), reason="a late invoice", restate=True)
    read: list[list[str]] = []
    of_file = restricted_bodies._bodies

    def counted(file: Path, weeks: Sequence[str]) -> set[str]:
        read.append(list(weeks))
        return of_file(file, weeks)

    monkeypatch.setattr(restricted_bodies, "_bodies", counted)
    kept = addresses(FIRST, "first") | addresses(FIRST, "again") | addresses(SECOND, "first")
    assert bodies_of_releases(settings) == kept
    # of the release before only the week that was replaced, of the first nothing
    assert read == [[str(FIRST), str(SECOND)], [str(FIRST)]]


def test_before_the_first_release_there_are_none(settings: Settings) -> None:
    assert bodies_of_releases(settings) == set()
