"""`policy check`: all errors of all documents, each in one sentence: file, place, what is wrong, what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from health_pipeline.policy.check import (
    DOCUMENTS,
    CheckedDocument,
    check_documents,
    not_applicable_measures,
    problems,
    unknown_files,
    unknown_playbook_names,
)
from health_pipeline.policy.documents import BUILT_IN, PolicyError


def own(folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> Path:
    content = yaml.safe_load((BUILT_IN / f"{name}.yaml").read_text(encoding="utf-8"))
    change(content)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return folder


def errors(documents: list[CheckedDocument]) -> list[str]:
    return [str(finding) for document in documents for finding in document.findings if finding.severity == "error"]


def test_every_built_in_document_is_checked_and_right() -> None:
    assert set(DOCUMENTS) == {path.stem for path in BUILT_IN.glob("*.yaml")}
    for folder in (None, BUILT_IN / "professional_services"):
        documents = check_documents(folder)
        assert [document.name for document in documents] == list(DOCUMENTS)
        assert not any(document.findings for document in documents)
        assert all(document.model is not None and document.hash is not None for document in documents)


def test_it_says_which_file_is_used(tmp_path: Path) -> None:
    own(tmp_path, "capacity", lambda content: content.update(hours_per_owner_week=20))
    documents = {document.name: document for document in check_documents(tmp_path)}
    assert (documents["capacity"].is_own, documents["capacity"].file) == (True, tmp_path / "capacity.yaml")
    assert (documents["company"].is_own, documents["company"].file) == (False, BUILT_IN / "company.yaml")
    with pytest.raises(PolicyError, match="which is not a folder"):
        check_documents(tmp_path / "nowhere")


def test_all_errors_of_all_documents_are_told_at_once(tmp_path: Path) -> None:
    def spoil(content: dict[str, Any]) -> None:
        content["groups"]["usage"] = -1
        content["measures"]["stickiness"]["directon"] = content["measures"]["stickiness"].pop("direction")
        content["measures"]["meetings"]["domain"] = "engagment"

    own(tmp_path, "health_score", spoil)
    own(tmp_path, "capacity", lambda content: content.pop("unowned_hours_per_week"))
    (tmp_path / "company.yaml").write_text("company_name: [", encoding="utf-8")
    (tmp_path / "playbooks.yaml").write_text("- one", encoding="utf-8")
    told = errors(check_documents(tmp_path))
    score, company = tmp_path / "health_score.yaml", tmp_path / "company.yaml"
    assert told[0].startswith(f"{company}: line 1: it is not YAML")
    assert told[1:5] == [
        f"{score}: groups.usage: it says -1 and must be greater than 0.",
        f"{score}: measures.stickiness.direction: it is not there; write it.",
        f"{score}: measures.stickiness.directon: there is no such key; the closest is 'direction'.",
        f"{score}: measures.meetings.domain: it says 'engagment' and must be 'commercial', 'payment', 'usage', "
        "'support', 'engagement', 'sentiment', 'outcomes' or 'risk'; the closest is 'engagement'.",
    ]
    assert told[5:] == [
        f"{tmp_path / 'playbooks.yaml'}: its top must hold keys and values; it holds list.",
        f"{tmp_path / 'capacity.yaml'}: unowned_hours_per_week: it is not there; write it.",
    ]


def test_every_broken_rule_over_the_whole_document_is_told() -> None:
    content = yaml.safe_load((BUILT_IN / "health_score.yaml").read_text(encoding="utf-8"))
    content["tiers"][1]["below"] = 71
    content["groups"]["usage"] = 99
    content["outcome_cap"]["group"] = "outcome"
    found = [message for _, message in problems(DOCUMENTS["health_score"], content)]
    assert len(found) == 3
    assert any("leave a gap" in message for message in found)
    assert any("the nearest name is 'outcomes'" in message for message in found)
    assert any("outcome" in message and "most weight" in message for message in found) or any(
        "comes first" in message or "come first" in message for message in found
    )


def test_a_key_that_stands_twice_is_named(tmp_path: Path) -> None:
    text = (BUILT_IN / "capacity.yaml").read_text(encoding="utf-8") + "hours_per_owner_week: 14\n"
    (tmp_path / "capacity.yaml").write_text(text, encoding="utf-8")
    document = next(document for document in check_documents(tmp_path) if document.name == "capacity")
    (finding,) = document.findings
    assert (finding.severity, finding.place) == ("warning", "hours_per_owner_week")
    assert f"again in line {len(text.splitlines())}" in finding.message
    assert document.model is not None


def test_a_file_that_nothing_reads_is_named_with_the_closest(tmp_path: Path) -> None:
    for name in ("helth_score.yaml", "identity_overrides.yaml", "capacity.yaml", "notes.txt"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    assert [str(finding) for finding in unknown_files(tmp_path)] == [
        f"{tmp_path / 'helth_score.yaml'}: nothing reads this file; the closest is 'health_score.yaml'."
    ]
    assert unknown_files(None) == []


def test_measures_that_do_not_apply_to_the_company_are_named(tmp_path: Path) -> None:
    own(tmp_path, "company", lambda content: content.update(not_applicable_domains=["risk"]))
    documents = check_documents(tmp_path)
    score = yaml.safe_load((BUILT_IN / "health_score.yaml").read_text(encoding="utf-8"))
    of_risk = [f"measures.{name}" for name, measure in score["measures"].items() if measure["domain"] == "risk"]
    found = not_applicable_measures(documents)
    assert of_risk and [finding.place for finding in found] == of_risk
    assert all(finding.severity == "warning" for finding in found)
    assert not_applicable_measures(check_documents(None)) == []


def test_names_in_playbooks_that_nothing_has_are_named(tmp_path: Path) -> None:
    def misspell(content: dict[str, Any]) -> None:
        content["playbooks"][0]["when_low"] = ["usage", "licence_utilisation"]
        content["playbooks"][0]["tier_reasons"] = ["decisiv"]

    documents = check_documents(own(tmp_path, "playbooks", misspell))
    assert not errors(documents)
    found = [finding.message for finding in unknown_playbook_names(documents, ["decisive", "score"])]
    assert found == [
        "'licence_utilisation' is never met: the health score has nothing of that name; the closest is "
        "'license_utilisation'",
        "'decisiv' is never met: the health score has nothing of that name; the closest is 'decisive'",
    ]
