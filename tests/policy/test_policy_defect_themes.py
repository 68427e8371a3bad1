"""Defect themes: the built-in document, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from health_pipeline.policy.defect_themes import load_defect_themes
from health_pipeline.policy.documents import PolicyError


def rule(name: str = "r", **conditions: list[str]) -> dict[str, Any]:
    return {"id": name, **conditions}


def theme(name: str, *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": name, "title": "A theme", "kind": "defect", "rules": list(rules), **more}


def test_the_built_in_document_names_defects_and_gaps() -> None:
    policy = load_defect_themes(None).model
    assert {found.kind for found in policy.themes} == {"defect", "product_gap"}
    # The catch-all by type comes after everything that says more.
    rules = [found.id for _, found in policy.rules]
    assert rules.index("filed_as_defect") > rules.index("says_error") > rules.index("after_update")


@pytest.mark.parametrize(
    ("themes", "sentence"),
    [
        ([theme("a", rule())], "rule 'r' would match every ticket; give it types, feature_keys or phrases"),
        ([theme("a", rule(types=["bug"])), theme("a", rule("s", types=["x"]))], "theme id 'a' is taken"),
        ([theme("a", rule(types=["bug"])), theme("b", rule(types=["x"]))], "rule id 'r' is taken"),
        ([theme("no_theme", rule(types=["bug"]))], "theme id 'no_theme' is taken"),
        (
            [theme("a", rule(types=["bug", "incident"]), rule("s", types=["Bug"], phrases=["broken"]))],
            "rule 's' is never reached: 'r' takes every ticket of it; move it up",
        ),
        ([theme("a", rule(phrases=["(a+)+"]))], "'(a+)+' is no phrase; write whole words"),
        ([theme("a", rule(phrases=["*"]))], "'*' is no phrase"),
        ([theme("a", rule(phrases=["b*roken"]))], "'b*roken' is no phrase"),
        ([theme("a", rule(phrases=["no"]))], "'no' is no phrase; write whole words of three letters or more"),
        ([theme("a", rule(types=["bug"]), kind="complaint")], "kind: Input should be 'defect' or 'product_gap'"),
    ],
)
def test_a_wrong_document_is_refused_in_one_sentence(tmp_path: Path, themes: Any, sentence: str) -> None:
    (tmp_path / "defect_themes.yaml").write_text(yaml.safe_dump({"themes": themes}))
    with pytest.raises(PolicyError) as caught:
        load_defect_themes(tmp_path)
    assert sentence in str(caught.value)
    assert str(tmp_path / "defect_themes.yaml") in str(caught.value)
