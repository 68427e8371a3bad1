"""Spans into the text as landed, negation in four languages, earlier mail, competitors; with rules written here."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from health_pipeline.policy.risk_phrases import COMPETITOR_RULE, RiskPhrasesPolicy, load_risk_phrases
from health_pipeline.text.folding import fold
from health_pipeline.text.matching import MOST_OF_A_PHRASE, PhraseFinder
from health_pipeline.text.notation import needed_words, phrase_pattern


@pytest.fixture(scope="module")
def built_in() -> PhraseFinder:
    return PhraseFinder(load_risk_phrases(None).model)


def policy(*phrases: str, **rule: Any) -> RiskPhrasesPolicy:
    return RiskPhrasesPolicy.model_validate(
        {
            "rules": [{"id": "r", "category": "support", "counts_when": "affirmed", "phrases": {"en": phrases}} | rule],
            "negation": {"en": {"cues": ["not", "n't", "never"], "after_cues": ["is not"], "before": 6, "after": 3,
                                "breaks": ["but"], "not_cues": ["not only"]}},
            "competitors": ["Acme Soft", "Zürich|Zuerich"],
        }
    )  # fmt: skip


def spans(text: str, *phrases: str, **rule: Any) -> list[tuple[str, bool]]:
    found = PhraseFinder(policy(*phrases, **rule)).find(text)
    return [(text[finding.start : finding.end], finding.is_negated) for finding in found if finding.rule_id == "r"]


@pytest.mark.parametrize(
    ("text", "phrase", "said"),
    [
        ("We CANCEL it.", "cancel", ["CANCEL"]),
        ("we cancelled it", "cancel", []),
        ("we cancelled it", "cancel*", ["cancelled"]),
        ("uncancelled", "cancel*", []),
        ("still really very much broken", "still ... broken", ["still really very much broken"]),
        ("still one two three four broken", "still ... broken", []),
        ("still. Then broken", "still ... broken", []),
        ("still broken, still very broken", "still .. broken", ["still broken", "still very broken"]),
        ("still very very broken", "still .. broken", []),
        ("Kündigung", "kündigung", ["Kündigung"]),
        ("KUENDIGUNG", "kündigung", ["KUENDIGUNG"]),
        ("Ku\u0308ndigung!", "kündigung", ["Ku\u0308ndigung"]),
        ("re\u0301silier", "resilier", ["re\u0301silier"]),
        ("can\u00adcel", "cancel", ["can\u00adcel"]),
        ("c\u0337a\u0338n\u0337cel\u0337 it", "cancel", ["c\u0337a\u0338n\u0337cel\u0337"]),
        ("\u202ecancel\u202c", "cancel", ["cancel\u202c"]),
        ("résilier", "resilier", ["résilier"]),
        ("we’re leaving", "we're leaving", ["we’re leaving"]),
        ("fed\n up", "fed_up|angry", ["fed\n up"]),
        ("so angry", "fed_up|angry", ["angry"]),
        ("Straße, STRASSE", "straße", ["Straße", "STRASSE"]),
    ],
)
def test_what_a_phrase_finds(text, phrase, said):
    assert [words for words, _ in spans(text, phrase)] == said


@pytest.mark.parametrize(
    ("text", "is_negated"),
    [
        ("we cancel", False),
        ("we do not cancel", True),
        ("we don't want to cancel", True),
        ("we never said that we do not cancel", False),
        ("not only do we cancel", False),
        ("this is not it, we cancel", False),
        ("it is not good but we cancel", False),
        ("not one two three four five six cancel", False),
        ("cancel is not planned", True),
        ("cancel, is not planned", False),
    ],
)
def test_negation_reaches_some_words_within_a_clause(text, is_negated):
    assert [negated for _, negated in spans(text, "cancel")] == [is_negated]


def test_a_rule_that_needs_a_negation_is_silent_without_one():
    assert spans("we will renew", "renew", counts_when="negated") == []
    assert spans("we will not renew", "renew", counts_when="negated") == [("renew", False)]


@pytest.mark.parametrize(
    "text",
    [
        "We are not cancelling the contract.",
        "no vamos a cancelar el contrato",
        "Wir kündigen nicht.",
        "wir werden den Vertrag nicht kündigen",
        "nous n’allons pas résilier",
        "Nous ne résilions pas.",
        "ya no hay ninguna caída",
    ],
)
def test_who_denies_a_risk_has_none(built_in, text):
    found = built_in.find(text)
    assert found, "the phrase itself is kept: it speaks against the risk"
    assert all(finding.is_negated for finding in found)


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("We won't renew.", "renewal_posture"),
        ("Wir verlängern nicht.", "renewal_posture"),
        ("Nous ne renouvellerons pas.", "renewal_posture"),
        ("No vamos a renovar.", "renewal_posture"),
        ("I never said that we won't cancel our contract.", "renewal_posture"),
    ],
)
def test_a_negation_may_be_the_risk(built_in, text, category):
    assert {finding.category for finding in built_in.find(text) if not finding.is_negated} == {category}


def test_what_is_harmless_in_its_sentence_is_no_risk(built_in):
    assert built_in.find("Please cancel the meeting on Friday.") == []
    both = "Please cancel the meeting on Friday. We want to cancel our contract."
    (found,) = built_in.find(both)
    assert both[found.start : found.end].startswith("want to cancel") or "cancel our contract" in both[found.start :]


@pytest.mark.parametrize(
    "earlier",
    [
        "> we cancel our contract",
        "On Mon, 2 Nov 2026 at 10:12, Eve <eve@customer.example> wrote:\nwe cancel our contract",
        "-----Original Message-----\nwe cancel our contract",
        "Am 02.11.2026 um 10:12 schrieb Eve:\nwe cancel our contract",
        "Le lun. 2 nov. 2026, Eve a écrit :\nwe cancel our contract",
        "El lun, 2 nov 2026, Eve escribió:\nwe cancel our contract",
    ],
)
def test_an_earlier_mail_was_counted_when_it_came(built_in, earlier):
    assert built_in.find("we cancel our contract") != []
    assert built_in.find(f"Thank you, all is well.\n\n{earlier}\n") == []


def test_a_competitor_is_found_by_its_name_in_any_language():
    finder = PhraseFinder(policy("nothing"))
    text = "Wir testen ACME  soft, nicht Zürichs."
    (found,) = finder.find(text)
    assert (found.rule_id, found.category, found.language) == (COMPETITOR_RULE, "competitive", "any")
    assert text[found.start : found.end] == "ACME  soft"


def test_of_overlapping_spans_of_a_rule_the_longest_counts():
    assert spans("still very broken", "still", "still ... broken", "broken") == [("still very broken", False)]


@pytest.mark.parametrize(
    ("text", "category", "said"),
    [
        ("We use a workaround for now.", "product_quality", ["workaround"]),
        ("We found a workaround. The export is broken as well.", "product_quality", ["workaround", "export is broken"]),
        ("We are not cancelling our contract.", "renewal_posture", ["cancelling our contract"]),
        ("Nobody has answered, and the ticket is still open after three weeks.", "support", None),
    ],
)
def test_two_rules_of_a_category_that_read_the_same_words_hear_one_thing(built_in, text, category, said):
    found = [one for one in built_in.find(text) if one.category == category]
    places = [(one.start, one.end) for one in found]
    assert all(end <= start for (_, end), (start, _) in pairwise(sorted(places)))
    if said is not None:
        assert [text[start:end] for start, end in places] == said


def test_a_thing_said_a_thousand_times_is_found_some_times():
    assert len(spans("cancel. " * 1000, "cancel")) == MOST_OF_A_PHRASE


@given(st.text(max_size=300))
def test_folding_keeps_each_character_in_its_place(text):
    assert len(fold(text)) == len(text)


WORDS = st.sampled_from(
    ["we", "do", "not", "cancel", "cancelled", "still", "very", "broken", ",", ".", "\n", "é", "'", "ß"]
)


@given(st.lists(WORDS, max_size=12).map(" ".join))
def test_the_words_asked_for_first_lose_no_match(text):
    """The index only leaves out what the expression would not have found."""
    for phrase in ("cancel*", "still ... broken", "do not", "fed_up|very ... broken", "we .. cancel*"):
        by_expression = [match.span() for match in phrase_pattern(phrase).finditer(fold(text))][:MOST_OF_A_PHRASE]
        found = PhraseFinder(policy(phrase)).find(text)
        assert bool(found) == bool(by_expression), phrase


def test_the_words_a_phrase_needs():
    assert needed_words("on ... broken|fail*") == (frozenset({"broken", "fail*"}), frozenset({"on"}))
    assert needed_words("on .. broken") == (frozenset({"broken"}), frozenset({"on"}))
    assert needed_words("grüße") == (frozenset({"grusse", "gruße", "gruesse", "grueße"}),)
    assert needed_words("we're fed_up") == (frozenset({"fed"}), frozenset({"re"}))
    assert needed_words("out_of_renew*|end_of_the_contract") == (frozenset({"renew*", "contract"}),)
