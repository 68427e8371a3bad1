"""The persona alignment assessment: claim by claim, as a whole, and where the teams' own segments disagree."""

from __future__ import annotations

from typing import Any

from health_pipeline.policy.wording import counted
from health_pipeline.reporting.figures import UNKNOWN, amount, listed
from health_pipeline.reporting.quarterly import charts
from health_pipeline.reporting.quarterly.page import Section, Shown
from health_pipeline.reporting.quarterly.release_data import ALL, QuarterData
from health_pipeline.reporting.quarterly.words import (
    NONE,
    figure_cell,
    in_words,
    limits,
    number,
    percent,
    plain,
    segment_words,
    value,
)
from health_pipeline.reporting.tables import Cell, Table

SUPPORTED, CONTRADICTED, UNTESTABLE = "supported", "contradicted", "untestable"
_TONES = {SUPPORTED: "good", CONTRADICTED: "bad", UNTESTABLE: "warn"}


def claims_of(data: QuarterData, persona: str | None = None) -> list[dict[str, Any]]:
    """Rows with a claim, in the order of the sentences."""
    rows = [row for row in data.personas if not row["claim"].startswith("sentence ")]
    rows = [row for row in rows if persona is None or row["persona"] == persona]
    return sorted(rows, key=lambda row: (row["persona"], row["sentence_number"], row["claim"]))


def unclaimed_of(data: QuarterData) -> list[dict[str, Any]]:
    """Rows of sentences that no claim was made of."""
    return [row for row in data.personas if row["claim"].startswith("sentence ")]


def personas_headline(data: QuarterData) -> str:
    """Whether the personas still describe the segments, in one sentence."""
    claims = claims_of(data)
    verdicts = [row["verdict"] for row in claims]
    if not claims:
        return "No persona could be held against the segments this quarter."
    wrong = verdicts.count(CONTRADICTED)
    if wrong:
        are = "is" if wrong == 1 else "are"
        return f"{wrong} of {counted(len(claims), 'claim')} about the personas {are} contradicted by the accounts."
    if verdicts.count(SUPPORTED) == len(claims):
        return f"The personas still describe their segments: all {len(claims)} claims hold."
    holds = verdicts.count(SUPPORTED)
    return f"{holds} of {counted(len(claims), 'claim')} about the personas hold; the others can’t be tested."


def personas_statements(data: QuarterData) -> list[tuple[str, str]]:
    """Contradicted, as a whole, teams, and what could not be judged."""
    claims = claims_of(data)
    wrong = [row for row in claims if row["verdict"] == CONTRADICTED]
    text = "; ".join(f"“{row['sentence'].rstrip('.')}” ({plain(row['persona'])})" for row in wrong)
    found = [("Contradicted", f"{text}." if text else "No claim is.")]
    nobody = data.figure("personas", ALL, "nobody")
    whole = []
    for name in _names(data):
        one = data.figure("personas", name, "prevalence")
        if one and one["value"] is not None:
            whole.append(f"{plain(name)} {percent(one['value'], 1)}")
    sentence = f"Accounts that meet every claim at once: {listed(whole)}." if whole else "Nobody could be judged."
    if nobody and nobody["value"] is not None:
        sentence += f" {percent(nobody['value'])} of the accounts are no persona."
    found.append(("As a whole", sentence))
    found.append(("Teams", _teams_sentence(data)))
    untested = [row for row in claims if row["verdict"] == UNTESTABLE]
    stale = sorted({plain(row["persona"]) for row in data.personas if row["is_stale"]})
    parts = []
    if open_sentences := unclaimed_of(data):
        parts.append(f"{counted(len(open_sentences), 'sentence')} make no claim that data can answer.")
    if untested:
        parts.append(f"{counted(len(untested), 'claim')} can’t be tested.")
    if stale:
        parts.append(f"Nobody looked at the text of {listed(stale)} for longer than the policy allows.")
    found.append(("Not judged", " ".join(parts) or "Every sentence could be judged."))
    return found


def _names(data: QuarterData) -> list[str]:
    return sorted({row["persona"] for row in data.personas})


def _teams(data: QuarterData) -> list[str]:
    return sorted({row["team"] for row in data.pairs})


def _teams_sentence(data: QuarterData) -> str:
    found, without = [], []
    for team in _teams(data):
        share = data.figure("reconciliation", team, "matched_share")
        if share is None or share["value"] is None:
            without.append(plain(team))
        else:
            found.append(f"{plain(team)} {percent(share['value'])}")
    text = f"Accounts on which a team’s segments agree with the model’s: {listed(found)}." if found else ""
    if without:
        text += f" {listed(without).capitalize()}: no account has a segment of both."
    return text.strip() or "No team’s definition is on record."


def personas_sections(data: QuarterData, currency: str) -> list[Section]:
    """Claims, whole personas, the teams' definitions."""
    return [_claims(data), _whole(data), _reconciliation(data, currency)]


def _claims(data: QuarterData) -> Section:
    shown: list[Shown] = []
    rates = [row for row in claims_of(data) if row["hit_rate"] is not None]
    if rates:
        points = [
            {
                "group": plain(row["persona"]).capitalize(),
                "label": _claim(row["claim"]),
                "value": row["hit_rate"],
                "low": row["interval_low"],
                "high": row["interval_high"],
            }
            for row in rates
        ]
        words = "; ".join(f"{one['label']} {percent(one['value'])}" for one in points)
        for persona in dict.fromkeys(one["group"] for one in points):
            own = [{**one, "group": ""} for one in points if one["group"] == persona]
            words = "; ".join(f"{one['label']} {percent(one['value'])}" for one in own)
            drawing = charts.intervals(
                own,
                f"Points with intervals of the share of the segment for which each claim of {persona} holds: {words}.",
                "Share of the segment for which it holds",
            )
            name = next(row["persona"] for row in rates if plain(row["persona"]).capitalize() == persona)
            title = f"{persona}: how often each claim holds"
            shown.append(Shown(title, drawing, heading=persona, text=_stands_for(data, name)))
            shown.append(Shown(table=_claim_table(data, name)))
    left = [name for name in _names(data) if name not in {row["persona"] for row in rates}]
    shown += [
        Shown(heading=plain(name).capitalize(), text=_stands_for(data, name), table=_claim_table(data, name))
        for name in left
    ]
    sentences = Table(
        "Sentences without a claim",
        (("Sentence", False), ("Persona", False)),
        [(Cell(row["sentence"]), Cell(plain(row["persona"]))) for row in unclaimed_of(data)],
        empty="Every sentence has a claim.",
        note="What data can’t answer stays a person’s judgement; it is neither right nor wrong here.",
    )
    shown.append(Shown(heading="Sentences that make no claim", table=sentences))
    return Section(
        "claims",
        "Claims",
        "Sentence by sentence",
        "Each claim comes from a sentence of the persona’s text, and is held against the accounts of the segment that "
        "the persona stands for. It holds where most of them meet it, by the policy’s limit.",
        shown,
    )


def _claim(text: str) -> str:
    return in_words(text).replace(">=", "≥").replace("<=", "≤")


def _stands_for(data: QuarterData, name: str) -> str:
    rows = [row for row in data.personas if row["persona"] == name]
    segment = next((row["segment"] for row in rows if row["segment"]), None)
    text = f"Stands for “{segment_words(segment)}”." if segment else "No segment of this quarter fits it."
    if any(row["is_stale"] for row in rows):
        text += " The text is stale: nobody looked at it for longer than the policy allows."
    return text


def _claim_table(data: QuarterData, persona: str) -> Table:
    rows = [
        (
            Cell(row["sentence"], detail=_claim(row["claim"])),
            Cell(row["verdict"].capitalize(), detail=in_words(row["reason"] or ""), tone=_TONES[row["verdict"]]),
            Cell(percent(row["hit_rate"]), detail=limits(row["interval_low"], row["interval_high"])),
            Cell(percent(row["rest_rate"]), detail="" if row["lift"] is None else f"lift {number(row['lift'], 1)}"),
            Cell(
                UNKNOWN if row["segment_median"] is None else value(row["segment_median"]),
                detail="" if row["distance"] is None else f"{row['distance']:+.1f} sd to the claim",
            ),
        )
        for row in claims_of(data, persona)
    ]
    columns = (
        ("Sentence and claim", False),
        ("Verdict", False),
        ("Holds for", True),
        ("For all others", True),
        ("Median", True),
    )
    return Table(f"Claims of {plain(persona)}", columns, rows)


def _whole(data: QuarterData) -> Section:
    rows = []
    for name in _names(data):
        overall = data.figure("personas", name, "prevalence")
        own = next((row for row in data.figures_of("personas", "prevalence", name) if row["segment"] != ALL), None)
        falls = sorted(
            (row for row in data.figures_of("personas", subject=name) if row["figure"].startswith("after_claim_")),
            key=lambda row: int(row["figure"].rsplit("_", 1)[1]),
        )
        rows.append(
            (
                Cell(plain(name).capitalize()),
                figure_cell(overall, "share"),
                figure_cell(own, "share"),
                Cell(" → ".join(percent(row["value"]) for row in falls) or NONE),
            )
        )
    columns = (
        ("Persona", False),
        ("Of all accounts", True),
        ("Of its segment", True),
        ("Left after each claim", False),
    )
    table = Table(
        "Who meets every claim at once",
        columns,
        rows,
        empty="No persona is on record.",
        note="Each further claim leaves fewer: a persona of many claims describes almost nobody, even where each claim "
        "holds for most.",
    )
    other = [
        (
            Cell(
                f"{plain(row['subject']).capitalize()}: {plain(row['figure'])}"
                if row["subject"] != ALL
                else "No persona at all"
            ),
            figure_cell(row, "share"),
            Cell(in_words(row["method"])),
        )
        for row in data.figures_of("personas")
    ]
    overlap = Table(
        "Every figure of whole personas, their overlap, and how each was made",
        (("What", False), ("Share", True), ("How", False)),
        other,
    )
    return Section(
        "whole", "As a whole", "How many accounts are such a persona", "", [Shown(table=table, behind=[overlap])]
    )


def _reconciliation(data: QuarterData, currency: str) -> Section:
    rows = []
    for team in _teams(data):
        matched = data.figure("reconciliation", team, "matched_share")
        rows.append(
            (
                Cell(plain(team).capitalize(), detail=_stale(data, team)),
                Cell(
                    percent(matched["value"] if matched else None),
                    detail=f"of {matched['accounts']:,}" if matched and matched["accounts"] else "",
                ),
                figure_cell(data.figure("reconciliation", team, "cramers_v")),
                Cell(percent(_value(data, team, "unassigned_share"))),
                Cell(percent(_value(data, team, "assigned_twice_share"))),
            )
        )
    table = Table(
        "Each team’s segments against the model’s",
        (
            ("Team", False),
            ("Agrees", True),
            ("Association, 0 to 1", True),
            ("In no segment", True),
            ("In two at once", True),
        ),
        rows,
        empty="No team’s definition is on record.",
    )
    shown = [Shown(table=table, behind=[_every_agreement(data)])]
    for team in _teams(data):
        cells = [row for row in data.pairs if row["team"] == team]
        pairs = Table(
            f"{plain(team).capitalize()}: accounts and revenue in each pair",
            (
                ("Team’s segment", False),
                ("Model’s segment", False),
                ("Accounts", True),
                (f"Annual revenue, {currency}", True),
                ("Matched", False),
            ),
            [
                (
                    Cell(plain(row["team_segment"]).capitalize()),
                    Cell(segment_words(row["segment"])),
                    Cell(f"{row['accounts']:,}"),
                    Cell(amount(row["arr_reporting"])),
                    Cell("matched" if row["is_matched"] else "disagreement", tone="" if row["is_matched"] else "warn"),
                )
                for row in sorted(cells, key=lambda one: (one["team_segment"], data.place(one["segment"])))
            ],
        )
        shown.append(Shown(behind=[pairs]))
    shown.append(
        Shown(
            text="The accounts behind each disagreement are in segment_reconciliation_quarterly of the "
            "published mart, in the column account_ids."
        )
    )
    return Section(
        "teams",
        "Teams",
        "Do marketing, sales and customer success mean the same customers?",
        "Each team divides the customers in its own way. Their segments are matched one to one with the model’s; "
        "accounts outside the matched pairs are the disagreement.",
        shown,
    )


def _value(data: QuarterData, team: str, figure: str) -> float | None:
    row = data.figure("reconciliation", team, figure)
    return row["value"] if row else None


def _stale(data: QuarterData, team: str) -> str:
    row = data.figure("reconciliation", team, "unassigned_share")
    return "stale definition" if row and (row["verdict"] or "").startswith("stale") else ""


def _every_agreement(data: QuarterData) -> Table:
    rows = [
        (
            Cell(plain(row["subject"]).capitalize()),
            Cell(plain(row["figure"])),
            figure_cell(row),
            Cell(NONE if row["accounts"] is None else f"{row['accounts']:,}"),
            Cell(in_words(row["method"])),
        )
        for row in data.figures_of("reconciliation")
    ]
    columns = (("Between", False), ("Figure", False), ("Value", True), ("Accounts", True), ("How", False))
    return Table("Every figure of agreement, also between the teams", columns, rows)
