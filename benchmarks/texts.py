"""Times the reading of a million texts: `python -m benchmarks.texts [TEXTS]`; prints a line for docs/benchmarks.md."""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from health_pipeline.policy.company import load_company
from health_pipeline.settings import Settings
from health_pipeline.sources.extract import Extract, TableExtract
from health_pipeline.sources.landing import Landing
from health_pipeline.text.unread import read_unread

LOADED_AT = datetime(2026, 11, 16, 2, tzinfo=UTC)
# Share of each language, and what is said in it: nothing to worry about, and risks.
LANGUAGES = {
    "en": (
        0.7,
        (
            "Could you tell me where the weekly report is stored?",
            "Thanks, that solved it for all of us.",
            "Please add two colleagues to the planning group, they start on the first of the month.",
            "I attached the file you asked for, no hurry.",
            "The button on the second page is grey, is that meant to be so?",
            "How do I change the time zone of a scheduled export?",
        ),
        ("We are thinking about cancelling our contract.", "The export is broken again and nobody has answered."),
    ),
    "de": (
        0.12,
        ("Vielen Dank, jetzt klappt alles.", "Wo finde ich die Einstellung für den Wochenbericht?"),
        ("Wir prüfen gerade andere Anbieter.",),
    ),
    "fr": (
        0.09,
        ("Merci beaucoup, tout est rentré dans l'ordre.", "Où se trouve le rapport de la semaine ?"),
        ("Nous pensons résilier notre contrat.",),
    ),
    "es": (
        0.09,
        ("Muchas gracias, ya está todo en orden.", "¿Dónde encuentro el informe semanal?"),
        ("Estamos buscando otro proveedor.",),
    ),
}
# Sentences of a text; a risk is in one sentence of fifty.
SENTENCES, OF_THEM = (1, 2, 4, 10), (0.4, 0.35, 0.2, 0.05)
RISKY = 0.02


def tickets(count: int, seed: int = 1) -> pa.Table:
    """Tickets as a help desk delivers them: each text another one, most of them short and without a phrase."""
    chance = random.Random(seed)  # noqa: S311  texts, no secrets
    shares = [share for share, _, _ in LANGUAGES.values()]
    subjects, bodies = [], []
    for number in range(count):
        _, plain, risky = LANGUAGES[chance.choices(list(LANGUAGES), shares)[0]]
        said = (
            chance.choice(risky if chance.random() < RISKY else plain)
            for _ in range(chance.choices(SENTENCES, OF_THEM)[0])
        )
        subjects.append(f"Request {number}")
        bodies.append(f"{' '.join(said)} Reference {chance.randrange(10**9)}.")
    created = (LOADED_AT - timedelta(days=30)).replace(tzinfo=None)
    return pa.table(
        {
            "ticket_id": [f"t{number}" for number in range(count)],
            "source_account_id": [f"a{number % 10_000}" for number in range(count)],
            "subject": subjects,
            "body": bodies,
            "status": pa.repeat("solved", count),
            "priority": pa.repeat("normal", count),
            "created_at": pa.repeat(pa.scalar(created, pa.timestamp("us")), count),
        }
    )


def main() -> None:
    """Land the texts in a scratch home, read them, print what it took."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="benchmark-texts-") as folder:
        settings = Settings(home=Path(folder), policy=None)
        landing = Landing(settings.landing, settings.quarantine)
        extract = Extract("support", "desk", "historical", (TableExtract("support_ticket", tickets(count)),))
        result = landing.load(extract, load_company(None).model, LOADED_AT)
        if result.status != "committed":
            sys.exit(" ".join(result.messages))
        began = time.monotonic()
        report = read_unread(settings)
        seconds = time.monotonic() - began
        again = time.monotonic()
        read_unread(settings)
        nothing_new = time.monotonic() - again
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = children.ru_utime + children.ru_stime + own.ru_utime + own.ru_stime
    sys.stdout.write(
        f"{report.records:,} texts, {report.phrases:,} phrases: {seconds:,.0f} s "
        f"({report.records / seconds:,.0f} a second, {cpu:,.0f} CPU s with making them), "
        f"peak {own.ru_maxrss / 2**20:.1f} GiB here and {children.ru_maxrss / 2**20:.1f} GiB in the largest reader; "
        f"a second run, with nothing new, {nothing_new:.1f} s\n"
    )


if __name__ == "__main__":
    main()
