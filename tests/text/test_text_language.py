"""Language is told where it can be, and only English is scored: elsewhere a text is not scored."""

from __future__ import annotations

import pytest

from health_pipeline.policy.risk_phrases import load_risk_phrases
from health_pipeline.text.reading import TextReader


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return TextReader(load_risk_phrases(None).model)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Could you please send me the invoice of last month again?", "en"),
        ("Könnten Sie mir bitte die Rechnung vom letzten Monat noch einmal schicken?", "de"),
        ("Pourriez-vous me renvoyer la facture du mois dernier, s'il vous plaît ?", "fr"),
        ("¿Podrían enviarme otra vez la factura del mes pasado, por favor?", "es"),
        ("Poderiam enviar-me novamente a fatura do mês passado, por favor?", "pt"),
        ("Kunt u mij de factuur van vorige maand nog een keer sturen?", "nl"),
        ("ok thanks", None),
        ("Invoice 2231", None),
        ("", None),
        ("+49 30 1234567", None),
    ],
)
def test_the_language_of_a_text(reader, text, language):
    assert reader.read([text]).language == language


def test_only_english_is_scored(reader):
    assert reader.read(["What a terrible, horrible week this was for all of us."]).sentiment < -0.5
    assert reader.read(["Thank you, this is wonderful, we love the new reports."]).sentiment > 0.5
    for text in ("Das war eine furchtbare, schreckliche Woche für uns alle.", "C'était une semaine terrible.", "awful"):
        assert reader.read([text]).sentiment is None


def test_the_lexicon_does_not_know_the_business(reader):
    """Why it is a weak hint and never a cause: a champion's leaving sounds well to it, and the rules see the risk."""
    reading = reader.read(["Our champion left the company, we wish her well in her new role."])
    assert reading.sentiment > 0.3
    assert {finding.category for finding in reading.phrases[0]} == {"sponsor_stakeholder"}


def test_subject_and_body_tell_the_language_together(reader):
    reading = reader.read(["Rechnung", "Könnten Sie mir bitte die Rechnung vom letzten Monat schicken?"])
    assert (reading.language, len(reading.phrases)) == ("de", 2)
