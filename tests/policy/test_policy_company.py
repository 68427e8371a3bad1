"""company.yaml: what is wrong is said in one sentence, with file, place and what it must be."""

from __future__ import annotations

import pytest
import yaml

from health_pipeline.policy.company import load_company
from health_pipeline.policy.documents import BUILT_IN, PolicyError


def write(folder, **changes):
    content = yaml.safe_load((BUILT_IN / "company.yaml").read_text())
    (folder / "company.yaml").write_text(yaml.safe_dump({**content, **changes}))
    return folder


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"time_zone": "Mars/Olympus"}, "time_zone must be a name of the IANA database"),
        ({"first_week": "2026-01-01"}, "is not a Monday; its week is 2025-12-29"),
        ({"cutoff_hours": -1}, "cutoff_hours: Input should be greater than or equal to 0"),
        ({"rates": {"EUR": {"2020-01-01": -1}}}, "rate of EUR from 2020-01-01 must be positive"),
        ({"sources": {"crm": {"volume_band": [2, 3]}}}, "volume_band must be"),
        ({"sources": {"crmm": {}}}, "sources.crmm"),
        ({"fiscal_year_begin": 3}, "fiscal_year_begin: Extra inputs are not permitted"),
    ],
)
def test_a_bad_document_is_refused_in_one_sentence(tmp_path, changes, says):
    with pytest.raises(PolicyError) as refused:
        load_company(write(tmp_path, **changes))
    message = str(refused.value)
    assert says in message
    assert str(tmp_path / "company.yaml") in message
    assert "\n" not in message


def test_text_that_is_not_yaml_names_the_line(tmp_path):
    (tmp_path / "company.yaml").write_text("a: 1\nb: [1, 2\n")
    with pytest.raises(PolicyError, match=r"company.yaml line \d+ is not YAML"):
        load_company(tmp_path)


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(PolicyError, match="which is not a folder"):
        load_company(tmp_path / "nowhere")


def test_comments_do_not_change_the_hash_but_a_value_does(tmp_path):
    content = yaml.safe_load((BUILT_IN / "company.yaml").read_text())
    (tmp_path / "company.yaml").write_text("# a comment\n" + yaml.safe_dump(content, sort_keys=False))
    assert load_company(tmp_path).hash == load_company(None).hash
    assert load_company(write(tmp_path, cutoff_hours=7)).hash != load_company(None).hash
