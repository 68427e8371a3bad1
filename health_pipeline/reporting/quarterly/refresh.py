"""The segmentation refresh report: do the segments still mean anything, which solution, why, how stable."""

from __future__ import annotations

import json
from typing import Any

from health_pipeline.policy.wording import counted, readable
from health_pipeline.reporting.figures import DASH, amount, day, listed, signed
from health_pipeline.reporting.quarterly import charts
from health_pipeline.reporting.quarterly.page import Section, Shown
from health_pipeline.reporting.quarterly.release_data import QuarterData
from health_pipeline.reporting.quarterly.stability import how_stable, kept_share, not_placed, who_moved
from health_pipeline.reporting.quarterly.tree import grow_tree
from health_pipeline.reporting.quarterly.words import (
    in_words,
    number,
    percent,
    segment_words,
    short_quarter,
    value,
)
from health_pipeline.reporting.tables import Cell, Table
from health_pipeline.segmentation.methods.clusterboot import VALID
from health_pipeline.segmentation.model import UNSEGMENTED

# The Tibshirani and Walther floor that the built-in policy asks for; a policy's own stands in the reasons.
STRENGTH_FLOOR = 0.8


def refresh_headline(data: QuarterData) -> str:
    """Whether the accounts still divide, in one sentence."""
    row = data.model_row
    if row is None:
        return "The segments could not be fitted this quarter."
    if row["k"] == 1:
        return "The accounts form no groups: one segment for all is what the data support."
    unstable = [one for one in data.stability_of("method", "jaccard") if (one["value"] or 0) < VALID]
    if not data.stability_of("method", "jaccard"):
        return f"{counted(row['k'], 'segment')} were fitted; how stable they are was not measured."
    if unstable:
        return f"{row['k']} segments, of which {len(unstable)} can’t be relied on."
    kept = kept_share(data)
    same = f", and {percent(kept['value'])} of the accounts stayed in theirs" if kept else ""
    return f"{row['k']} segments still mean something: each comes back when the accounts are drawn anew{same}."


def refresh_statements(data: QuarterData) -> list[tuple[str, str]]:
    """Recommended, adopted, stable, and what could not be judged."""
    row = data.model_row
    found = [("Recommended", _recommended(data)), ("Adopted", _adopted(data))]
    if row is not None and data.stability_of("method", "jaccard"):
        found.append(("Stable", _stable(data)))
    found.append(("Not judged", " ".join(_not_judged(data)) or "Everything that was asked could be judged."))
    return found


def _recommended(data: QuarterData) -> str:
    row = data.model_row
    if row is None:
        reasons = sorted({one["unsegmented_reason"] for one in data.assignments if one["unsegmented_reason"]})
        return "No model: " + in_words("; ".join(reasons[:2])) + "."
    names = listed([f"“{segment_words(name)}”" for name in data.names])
    if row["k"] == 1:
        return "One segment: no division of the accounts passed every test."
    text = f"{counted(row['k'], 'segment')}: {names}."
    if row["recommendation"] and row["smallest_jaccard"] is not None:
        text += (
            f" The most that pass every test: the smallest holds {percent(row['smallest_share'])} of the accounts, and "
            f"one half of the accounts tells who belongs together in the other half: right for "
            f"{percent(row['split_half_strength'])} of the pairs."
        )
    return text


def _reasons(data: QuarterData) -> Table:
    row = data.model_row
    reasons = (row["recommendation"] or "").split("; ") if row else []
    reasons = data.looked_at.get("reasons", reasons)
    return Table("The review’s reasons", (("Reason", False),), [(Cell(in_words(why)),) for why in reasons if why])


def _adopted(data: QuarterData) -> str:
    row = data.model_row
    if row is not None and row["effective_from"] is not None:
        return (
            f"This model, by {_who(row['adopted_by'])}: {row['adoption_reason']}. In force from "
            f"{day(row['effective_from'])}."
        )
    held = data.in_force(data.quarter.next.next.first_day)
    other = next((one for one in data.models if one["quarter"] == data.quarter.first_day and one["adopted_by"]), None)
    if other is not None and other is not row:
        return (
            f"Another solution of this quarter: {counted(other['k'], 'segment')}, by {_who(other['adopted_by'])}: "
            f"{other['adoption_reason']}. This one waits for a person’s decision."
        )
    if held is None:
        return "Nobody had adopted a model when this was published; a person decides."
    return (
        f"Not yet; a person decides. Until then the model of {short_quarter(held['quarter'])} stays in force "
        f"({counted(held['k'], 'segment')})."
    )


def _who(adopted_by: str) -> str:
    """Who adopted, without naming a person: an address is somebody; the policy is not."""
    return "the policy’s rule for the first model" if adopted_by.startswith("policy:") else "a person on record"


def _stable(data: QuarterData) -> str:
    rows = data.stability_of("method", "jaccard")
    lowest = min(rows, key=lambda one: one["value"])
    text = (
        f"When the accounts are drawn anew at random, {percent(lowest['value'])} of the least stable segment comes "
        f"back ({percent(VALID)} is asked for)."
    )
    kept = kept_share(data)
    if kept:
        text += f" {percent(kept['value'])} of the accounts in both quarters kept their segment."
    return text


def _not_judged(data: QuarterData) -> list[str]:
    found = []
    apart = [row for row in data.assignments if row["segment"] == UNSEGMENTED]
    if apart and data.model_row is not None:
        total = sum(row["accounts"] for row in apart)
        found.append(f"{counted(total, 'account')} could not be placed: too little is known of them.")
    if data.model is not None:
        found += [f"{readable(name).capitalize()}: {why}." for name, why in data.model.space.dropped.items()]
    if data.model_row is not None and not data.stability_of("accounts", "migration"):
        found.append("Nothing to compare with: there is no model of the quarter before.")
    if not data.looked_at:
        found.append("The solutions looked at were not kept by the version that fitted this model.")
    return found


def refresh_sections(data: QuarterData, currency: str) -> list[Section]:
    """The sections; what a release has nothing of is left out."""
    sections = []
    if data.model is not None:
        sections.append(_who_they_are(data, currency))
        sections.append(_how_many(data))
    if data.stability:
        sections.append(how_stable(data))
    moved = who_moved(data)
    return [*sections, *([moved] if moved else []), not_placed(data)]


def _who_they_are(data: QuarterData, currency: str) -> Section:
    model, row = data.model, data.model_row
    assert model is not None
    assert row is not None
    levels = [model.space.dimension_levels(centre) for centre in model.centres]
    bars = [
        {"segment": segment_words(name), "dimension": dimension, "level": level}
        for name, own in zip(model.names, levels, strict=True)
        for dimension, level in own.items()
    ]
    by_name = {one["segment"]: one for one in data.performance}
    rows = []
    for name, own in zip(model.names, levels, strict=True):
        one = by_name.get(name, {})
        rows.append(
            (
                Cell(segment_words(name)),
                Cell(f"{one.get('accounts', 0):,}", detail=percent(one.get("accounts_share"))),
                Cell(amount(one.get("arr_reporting")), detail=percent(one.get("arr_share"))),
                *(Cell(signed(level, 1)) for level in own.values()),
            )
        )
    dimensions = ((dimension.capitalize(), True) for dimension in levels[0])
    columns = (("Segment", False), ("Accounts", True), (f"Annual revenue, {currency}", True), *dimensions)
    table = Table(
        "Segments, their size and how far each lies from the mean",
        columns,
        rows,
        note="Levels in standard deviations of all accounts: above +0.4 a dimension is called high, below −0.4 low, by "
        "the built-in policy.",
    )
    words = "; ".join(f"{bar['segment']}: {bar['dimension']} {bar['level']:+.1f}" for bar in bars)
    shown = []
    if bars:
        drawing = charts.profiles(bars, f"Bars of each segment’s level per dimension in standard deviations. {words}.")
        shown.append(Shown("Against the mean of all accounts", drawing))
        shown.append(Shown(table=table, behind=[_centres(data)]))
    else:
        shown.append(Shown(table=table))
    return Section(
        "segments",
        "Segments",
        "Who the segments are",
        "Accounts are divided by what they do and pay, never by what became of them. A name says what stands out.",
        shown,
    )


def _centres(data: QuarterData) -> Table:
    assert data.model_row is not None
    segments = json.loads(data.model_row["segments"])
    features = list(segments[0]["centre"]) if segments else []
    columns = (("Feature", False), *((segment_words(one["name"]), True) for one in segments))
    rows = [(Cell(readable(name)), *(Cell(value(one["centre"][name])) for one in segments)) for name in features]
    return Table("Centres in the features’ own units", columns, rows)


def _how_many(data: QuarterData) -> Section:
    row, model = data.model_row, data.model
    assert row is not None
    assert model is not None
    shown: list[Shown] = []
    rows = [(Cell(str(one["k"])), *_solution(one, one["k"] == row["k"])) for one in data.candidates]
    columns = (
        ("Segments", False),
        ("Smallest", True),
        ("Prediction strength", True),
        ("Jaccard, least stable", True),
        ("Verdict", False),
    )
    table = Table(
        "Solutions by number of segments",
        columns,
        rows,
        empty="The solutions looked at were not kept by the version that fitted this model.",
    )
    points = [{"k": one["k"], "figure": "strength", "value": one["prediction_strength"]} for one in data.candidates]
    points += [
        {"k": one["k"], "figure": "jaccard", "value": min(one["jaccard"])} for one in data.candidates if one["jaccard"]
    ]
    if len(data.candidates) > 1:
        drawing = charts.over_k(
            points,
            {"strength": STRENGTH_FLOOR, "jaccard": VALID},
            f"Lines over 1 to {len(data.candidates)} segments of prediction strength and of the least stable segment’s "
            f"Jaccard similarity; {row['k']} recommended.",
        )
        legend = [("line", "Prediction strength"), ("line jaccard", "Jaccard of the least stable segment")]
        shown.append(
            Shown(
                "How good each number of segments is; dotted: what the built-in policy asks for", drawing, legend=legend
            )
        )
    shown.append(Shown(table=table))
    most = max((one["k"] for one in data.candidates), default=1)
    tree = grow_tree(model, data.features, most, row["n_init"], row["seed"]) if most > 1 else None
    if tree is not None:
        drawing = charts.solution_tree(
            tree,
            row["k"],
            f"Tree of the solutions with 1 to {most} segments: each segment with its share of the accounts, joined to "
            f"those that its accounts form with one segment more; {row['k']} are recommended.",
        )
        shown.append(
            Shown(
                "How segments split as their number grows",
                drawing,
                _links(tree),
                beside=False,
                heading="The solution tree",
                text="A line is as thick as the accounts that go that way. Where one segment takes from several, the "
                "division with more segments is not a finer one but another one.",
            )
        )
    shown.append(
        Shown(
            heading="Solutions a person may adopt", table=_adoptable(data), behind=[_reasons(data), *_gap_tables(data)]
        )
    )
    return Section(
        "solutions",
        "How many",
        "How many segments, and why",
        "One segment for all is a possible answer. A number of segments has to pass every test before it is supported; "
        "of the supported ones, the one with the most segments is recommended.",
        shown,
    )


def _solution(one: dict[str, Any], is_recommended: bool) -> tuple[Cell, ...]:
    failures = in_words("; ".join(one["failures"]))
    verdict = (
        Cell("Recommended", tone="good")
        if is_recommended
        else Cell("Supported")
        if not failures
        else (Cell("Not supported", detail=failures))
    )
    jaccard = Cell(number(min(one["jaccard"]))) if one["jaccard"] else Cell(DASH)
    return (
        Cell(percent(one["smallest_share"]), detail=f"{min(one['sizes']):,} accounts"),
        Cell(number(one["prediction_strength"])),
        jaccard,
        verdict,
    )


def _links(tree: Any) -> Table:
    rows = [
        (Cell(f"{link.k} → {link.k + 1}"), Cell(f"{link.place + 1} → {link.into + 1}"), Cell(percent(link.share)))
        for link in tree.links
    ]
    note = (
        f"Of {tree.accounts:,} accounts, {tree.starts} starts; segments counted from the left; links under 1 % of the "
        "accounts are left out. Clustering tree: Zappia and Oshlack, GigaScience 7 (2018)."
    )
    return Table(
        "Accounts from one solution to the next",
        (("Segments", False), ("From, to", False), ("Of all accounts", True)),
        rows,
        note=note,
    )


def _adoptable(data: QuarterData) -> Table:
    rows = []
    of_quarter = [one for one in data.models if one["quarter"] == data.quarter.first_day]
    of_quarter.sort(key=lambda one: (one["is_recommended"] is False, -one["k"]))
    for one in of_quarter:
        names = ", ".join(segment_words(part["name"]) for part in json.loads(one["segments"]))
        state = (
            one["status"] if one["effective_from"] is None else f"{one['status']}, from {day(one['effective_from'])}"
        )
        rows.append(
            (
                Cell(f"{counted(one['k'], 'segment')}", detail=one["segment_model_id"]),
                Cell(one["transform"] or "declared"),
                _known(one["split_half_strength"]),
                _known(one["smallest_jaccard"]),
                Cell(state, detail="recommended" if one["is_recommended"] else ""),
                Cell(names),
            )
        )
    columns = (
        ("Solution", False),
        ("Transform", False),
        ("Prediction strength", True),
        ("Least stable", True),
        ("Status", False),
        ("Segments", False),
    )
    return Table(
        "Solutions a person may adopt",
        columns,
        rows,
        empty="None: nothing could be fitted.",
        note="`health-pipeline adopt ID --by WHO --reason WHY` records who and why; it counts from the next Monday "
        "that is not published. Adopting none keeps the model in force.".replace("`", ""),
    )


def _known(figure: float | None) -> Cell:
    """A figure; a dash where one segment has no stability, or an older model kept no figures."""
    return Cell(DASH if figure is None else number(figure))


def _gap_tables(data: QuarterData) -> list[Table]:
    gap = data.looked_at.get("gap", {}).get("declared")
    tables = []
    if gap:
        numbers = {name: value for name, value in gap.items() if isinstance(value, list)}
        length = max((len(value) for value in numbers.values()), default=0)
        numbers = {name: value for name, value in numbers.items() if len(value) == length}
        rows = [(Cell(str(k + 1)), *(Cell(number(value[k], 4)) for value in numbers.values())) for k in range(length)]
        columns = (("Segments", False), *((name.replace("_", " ").capitalize(), True) for name in numbers))
        tables.append(Table("Gap statistic", columns, rows))
    others = data.looked_at.get("candidates", [])
    rows = [
        (
            Cell(f"{one['transform']}, {one['k']}"),
            Cell(number(one["prediction_strength"], 3)),
            Cell(", ".join(number(v) for v in one["jaccard"]) if one["jaccard"] else "–"),
            Cell(number(one["silhouette"], 3)),
            Cell(number(one["mixture_ari"], 3)),
            Cell(number(one["inertia"], 1)),
            Cell(in_words("; ".join(one["failures"])) or "supported"),
        )
        for one in others
    ]
    columns = (
        ("Transform, segments", False),
        ("Prediction strength", True),
        ("Jaccard per segment", False),
        ("Silhouette", True),
        ("ARI with a mixture", True),
        ("Inertia", True),
        ("Why not", False),
    )
    if rows:
        tables.append(
            Table(
                "Every solution looked at", columns, rows, note="Silhouette and inertia describe; they select nothing."
            )
        )
    settings = data.looked_at.get("resampling")
    if settings:
        rows = [(Cell(name.replace("_", " ").capitalize()), Cell(f"{value:,}")) for name, value in settings.items()]
        rows.append((Cell("Seed"), Cell(str(data.looked_at["seed"]))))
        tables.append(Table("Settings of the resampling", (("Setting", False), ("Value", True)), rows))
    return tables
