"""Decisions of the company's own people are landed by a mapping; one without reason, approver or end is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from health_pipeline.contract.landing import arrow_schema, landing_tables
from health_pipeline.policy.company import CompanyPolicy, load_company
from health_pipeline.settings import Settings
from health_pipeline.sources.extract import Extract, TableExtract
from health_pipeline.sources.files import load_files
from health_pipeline.sources.landing import Landing

LOADED_AT = datetime(2026, 11, 16, 1, tzinfo=UTC)
ROW = {
    "override_id": "o1",
    "source_account_id": "acc_1",
    "tier": "watch",
    "reason": "migrates this month",
    "requested_by": "csm@example.com",
    "approved_by": "lead@example.com",
    "approved_at": "2026-11-10 09:00:00",
    "expires_at": "2027-01-31 00:00:00",
    "withdrawn_at": None,
}


@pytest.fixture
def company() -> CompanyPolicy:
    return load_company(None).model


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path / "landing", tmp_path / "quarantine")


def load(landing: Landing, company: CompanyPolicy, *rows: dict):
    names = list(ROW)
    table = pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in names})
    return landing.load(
        Extract("review", "desk", "incremental", (TableExtract("tier_override", table),)), company, LOADED_AT
    )


def test_a_decision_lands(landing, company):
    result = load(landing, company, ROW, ROW | {"override_id": "o2", "requested_by": None})
    assert (result.status, result.messages) == ("committed", ())
    (path,) = [row["path"] for row in landing.manifest().to_pylist() if row["table_name"] == "tier_override"]
    landed = pq.read_table(path)
    assert landed.schema.equals(arrow_schema(landing_tables()["tier_override"]))
    assert landed["tier"].to_pylist() == ["watch", "watch"]


REFUSED = {
    "no approver": ({"approved_by": None}, "column approved_by is empty on 1 of 2 rows"),
    "no reason": ({"reason": ""}, "column reason is empty on 1 of 2 rows"),
    "a blank reason": ({"reason": "  "}, "column reason of the row with override_id o2 is empty; an override says why"),
    "no end": ({"expires_at": None}, "column expires_at is empty on 1 of 2 rows"),
    "an end before its approval": (
        {"expires_at": "2026-11-10 09:00:00"},
        "column expires_at of the row with override_id o2 is not after approved_at, so the override would never hold",
    ),
    "approved by who asked": (
        {"approved_by": "CSM@example.com"},
        "column approved_by of the row with override_id o2 also requested it; another person approves",
    ),
    "an approver without an address": (
        {"approved_by": "the lead"},
        "column approved_by of the row with override_id o2 is no work e-mail; name the person who approved",
    ),
    "no tier": (
        {"tier": "not_scored"},
        "column tier of the row with override_id o2 is no tier to override with (at_risk, watch, healthy, "
        "expansion_ready)",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_decision_that_nobody_answers_for_is_refused(landing, company, what):
    change, sentence = REFUSED[what]
    result = load(landing, company, ROW, ROW | {"override_id": "o2", "reason": "secret reason"} | change)
    assert result.status == "refused"
    (message,) = result.messages
    assert message.startswith("review load of desk, table tier_override: ")
    assert sentence in message
    # Neither the text nor the person is told on.
    assert "secret" not in message
    assert "lead@example.com" not in message
    assert landing.manifest().num_rows == 0


def test_a_file_can_bring_them(tmp_path, company):
    data = tmp_path / "data"
    data.mkdir()
    (data / "overrides.csv").write_text(
        "id,account,tier,why,approver,approved_on,until\n"
        "1,CRM-1,watch,migration,lead@example.com,2026-11-10 09:00,2027-01-31\n"
    )
    mapping = {
        "sources": [
            {
                "kind": "review",
                "system": "crm_system",
                "tables": [
                    {
                        "table": "tier_override",
                        "files": "overrides.csv",
                        "is_complete": True,
                        "select": {
                            "override_id": "id", "source_account_id": "account", "tier": "tier", "reason": "why",
                            "approved_by": "approver", "approved_at": "approved_on", "expires_at": "until",
                        },
                    }
                ],
            }
        ]
    }  # fmt: skip
    path = tmp_path / "mapping.yaml"
    path.write_text(yaml.safe_dump(mapping))
    settings = Settings(home=tmp_path / "home")
    (result,) = load_files(settings, company, path, data, LOADED_AT)
    assert result.status == "committed", result.messages
    landing = Landing(settings.landing, settings.quarantine)
    assert landing.manifest().filter(pc.field("table_name") == "tier_override")["rows"].to_pylist() == [1]
