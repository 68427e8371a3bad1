"""The phrase rules as a document: every category in every language, and errors that say where and what."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from health_pipeline.contract.landing import landing_tables
from health_pipeline.policy.check import check_documents
from health_pipeline.policy.documents import PolicyError
from health_pipeline.policy.risk_phrases import LANGUAGES, PhraseCategory, load_risk_phrases, notation_problem

RULES = """
rules:
  - {id: leaves, category: renewal_posture, counts_when: affirmed, phrases: {en: [cancel]}}
negation: {en: {cues: [not], before: 6, after: 0}}
"""


def test_every_category_has_phrases_in_every_language():
    rules = load_risk_phrases(None).model.rules
    said = {(rule.category, language) for rule in rules for language in rule.phrases}
    assert said == {(category, language) for category in get_args(PhraseCategory) for language in LANGUAGES}


def test_the_landing_refuses_what_is_no_category_of_the_rules():
    (rule,) = [rule for rule in landing_tables()["text_phrase"].rules if rule.column == "category"]
    assert all(f"'{category}'" in rule.refuse for category in get_args(PhraseCategory))
    assert rule.refuse.count("'") == 2 * len(get_args(PhraseCategory))


WRONG = {
    "no such category": ("renewal_posture", "renewal", "rules.0.category"),
    "no such key": ("phrases:", "phrase:", "rules.0.phrases"),
    "an id twice": (
        "negation:",
        "  - {id: leaves, category: support, counts_when: affirmed, phrases: {en: [x]}}\nnegation:",
        "the rule id 'leaves' is taken; give each rule an id of its own",
    ),
    "a language without negation": ("{en: [cancel]}", "{de: [storno]}", "negation.de is missing"),
    "a phrase that ends in a gap": ("[cancel]", '["cancel ..."]', "must begin and end with a word"),
    "a gap twice": ("[cancel]", '["we ... ... cancel"]', "has two gaps in a row"),
    "an alternative without a letter": ("[cancel]", '["cancel|%"]', "the alternative '%' without a letter or digit"),
    "a star inside": ("[cancel]", '["can*cel"]', "it ends a stem and stands once, at its end"),
    "a cue without a letter": ("cues: [not]", 'cues: ["|"]', "without a letter or digit"),
    "a reach that is none": ("before: 6", "before: 0", "negation.en.before"),
    "a competitor without a name": ("negation:", 'competitors: ["-"]\nnegation:', "the competitor '-'"),
}


@pytest.mark.parametrize(("old", "new", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_by_file_and_place(tmp_path: Path, old: str, new: str, message: str):
    assert old in RULES
    (tmp_path / "risk_phrases.yaml").write_text(RULES.replace(old, new))
    with pytest.raises(PolicyError) as told:
        load_risk_phrases(tmp_path)
    assert str(tmp_path / "risk_phrases.yaml") in str(told.value)
    assert message in str(told.value)
    (checked,) = [one for one in check_documents(tmp_path) if one.name == "risk_phrases"]
    assert checked.hash is None
    assert any(finding.severity == "error" for finding in checked.findings)


def test_what_is_right_can_be_used(tmp_path: Path):
    (tmp_path / "risk_phrases.yaml").write_text(RULES)
    (checked,) = [one for one in check_documents(tmp_path) if one.name == "risk_phrases"]
    assert (checked.findings, checked.hash) == ((), load_risk_phrases(tmp_path).hash)
    assert notation_problem("we ... cancel*|give_up") is None
