"""The demo's truth can't be read by the pipeline: not by imports, columns, ids, order, or custom fields."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from delivered_records import company, records
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict

import health_pipeline
from health_pipeline.contract.content import content_hash
from health_pipeline.contract.landing import SOURCE_KINDS, landing_tables
from health_pipeline.sources.demo import DemoCompany
from health_pipeline.sources.demo.calendar import week_start
from health_pipeline.sources.demo.evidence import EVIDENCE
from health_pipeline.sources.demo.story_shapes import SHAPES, STORY_NAMES

PACKAGE = Path(health_pipeline.__file__).parent
DEMO = PACKAGE / "sources" / "demo"
HIDDEN = {"truth", "evidence", "stories", "story_shapes", "latent", "world", "contracts"}
SEEDS = range(4)


def imported_modules(path: Path) -> set[str]:
    """Every module a file imports, also inside functions, with the names taken from it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
    return found


def reached_into(path: Path) -> set[str]:
    """Private parts of the demo that a file names: hidden modules, the world, the truth."""
    hidden = {f"health_pipeline.sources.demo.{name}" for name in HIDDEN}
    names = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in {"truth", "tell_truth", "_world"}
    }
    return (imported_modules(path) & hidden) | names


def test_nothing_outside_the_demo_imports_or_asks_for_its_truth(tmp_path):
    outside = [path for path in PACKAGE.rglob("*.py") if DEMO not in path.parents]
    assert len(outside) > 100
    assert {str(path): reached_into(path) for path in outside if reached_into(path)} == {}
    # What would be found.
    spy = tmp_path / "spy.py"
    spy.write_text(
        "def peek():\n    from health_pipeline.sources.demo import truth\n    return company.truth().stories\n"
    )
    assert reached_into(spy) == {"health_pipeline.sources.demo.truth", "truth"}


def test_the_sources_do_not_import_the_truth_either():
    tellers = {"truth.py", "evidence.py", "company.py"}
    hidden = {"health_pipeline.sources.demo.truth", "health_pipeline.sources.demo.evidence"}
    for path in DEMO.glob("*.py"):
        assert path.name in tellers or not imported_modules(path) & hidden, path.name


def test_sql_and_documents_name_no_story():
    root = PACKAGE.parent
    words = {
        "value_never_reached",
        "defect_storm",
        "competitor_evaluation",
        "quiet_decline",
        "price_pressure",
        "lookalike",
    }
    for folder, pattern in ((root / "dbt_project", "*.sql"), (PACKAGE / "policy" / "documents", "*.yaml")):
        files = [path for path in folder.rglob(pattern) if "target" not in path.parts]
        assert files
        for path in files:
            assert not words & set(path.read_text(encoding="utf-8").split()), path


@pytest.mark.parametrize("kind", ["software", "services"])
def test_no_column_is_the_truths_and_no_value_names_a_story(kind):
    demo = company(3, 60, kind)
    hidden = {"story", "stories", "value", "sponsorship", "quality", "trouble", "season", "meaning", "resembles"}
    readable = {name.replace("_", " ") for name in STORY_NAMES} - {"holiday"}
    told = {evidence.what for kinds in EVIDENCE.values() for evidence in kinds}
    for load in (0, 20, 52):
        for extract in demo.extracts(load):
            for part in extract.tables:
                assert not set(part.data.column_names) & hidden
                assert set(part.data.column_names) >= set(landing_tables()[part.table].column_names)
                for column in part.data.to_pandas().select_dtypes(["object", "string"]):
                    texts = set(part.data[column].drop_null().to_pylist()) - {None}
                    text = " ".join(map(str, texts)).lower()
                    assert not any(name in text for name in set(STORY_NAMES) - {"holiday"}), (part.table, column)
                    assert not texts & told
                    if column not in {"body", "subject"}:
                        assert not any(name in text for name in readable), (part.table, column)


def test_the_landing_is_the_same_whether_the_truth_was_told_or_not():
    silent, told = (DemoCompany(5, 40, events_per_account_week=4) for _ in range(2))
    told.truth()
    for load in (0, 1, 30, 52):
        one = {(e.source_kind, p.table): content_hash(p.data) for e in silent.extracts(load) for p in e.tables}
        told.truth()
        assert one == {(e.source_kind, p.table): content_hash(p.data) for e in told.extracts(load) for p in e.tables}


# --- what a reader of ids, order and custom fields could learn ------------------------------------------------------


def what_ids_tell(seed: int) -> pd.DataFrame:
    """One row per account: its number in each system, its row in each extract, gaps, and what custom fields hold.

    As the historical load shows it and before any story of the second year: what these say then would be a leak.
    """
    demo = company(seed)
    world = demo._world
    columns: dict[str, np.ndarray] = {}
    for kind in SOURCE_KINDS:
        numbers = pd.Series(world.source_ids[kind].to_pylist()).str.extract(r"(\d+)$")[0].astype(float)
        columns[f"{kind} number"] = numbers.to_numpy()
        for part in demo._tables(kind, 0):
            if "source_account_id" not in part.data.column_names or part.table == "usage_daily":
                continue
            rows = pd.Series(part.data["source_account_id"].to_pylist())
            place = rows.reset_index().groupby(0)["index"].agg(["min", "median"])
            of_account = place.reindex(world.source_ids[kind].to_pylist())
            columns[f"{kind} {part.table} first row"] = of_account["min"].to_numpy() / max(len(rows), 1)
            key = landing_tables()[part.table].key[0]
            ids = pd.Series(part.data[key].to_pylist()).str.extract(r"(\d+)(?:-2)?$")[0].astype(float)
            newest = ids.groupby(rows).agg(["max", "min"]).reindex(world.source_ids[kind].to_pylist())
            # Against what the account's own dates say: a number is no later than its record.
            columns[f"{kind} {part.table} last digit"] = newest["max"].to_numpy() % 10
            custom = pd.Series(part.data["custom"].to_pylist(), dtype=object).notna()
            columns[f"{kind} {part.table} custom"] = (
                custom.groupby(rows).any().reindex(of_account.index).to_numpy(float)
            )
    return pd.DataFrame(columns)


def told_apart(features: pd.DataFrame, label: np.ndarray) -> float:
    """Cross-validated AUC of a forest that sees the features alone."""
    forest = RandomForestClassifier(60, min_samples_leaf=8, class_weight="balanced", random_state=0)
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    chance = cross_val_predict(forest, features.fillna(-1), label, cv=folds, method="predict_proba")[:, 1]
    order = pd.Series(chance).rank().to_numpy()
    high = label.sum()
    return float((order[label].sum() - high * (high + 1) / 2) / (high * (len(label) - high)))


def stories_to_come(seed: int, meaning: str | None) -> np.ndarray:
    """Accounts with a story of that meaning (any, where none is given) that starts after the historical load."""
    stories = company(seed)._world.stories
    meanings = np.array([*(shape.meaning for shape in SHAPES), "none"])[stories.kind]
    return (stories.start_week >= 52) & (stories.kind >= 0) & (meanings == meaning if meaning else True)


def old_customers(seed: int) -> np.ndarray:
    """Customers since before the history, still there at the historical load: when an account came is no secret."""
    world = company(seed)._world
    return (world.accounts.started_at < week_start(0)) & world.contracts.is_live[:, 52]


@pytest.mark.parametrize("meaning", ["risk", None])
def test_ids_row_order_and_custom_fields_do_not_tell_who_will_have_a_story(meaning):
    shown = []
    for seed in SEEDS:
        rows = old_customers(seed)
        shown.append(told_apart(what_ids_tell(seed)[rows].reset_index(drop=True), stories_to_come(seed, meaning)[rows]))
    # Chance is .5; with 20 to 60 stories in 300 accounts the mean of four has a standard error of about .03.
    assert np.mean(shown) == pytest.approx(0.5, abs=0.09)


def test_the_reader_would_find_a_leak():
    """The canary: the same reader, given a number that follows the stories ever so slightly, sees it."""
    seed = 7
    rows = old_customers(seed)
    label = stories_to_come(seed, None)[rows]
    features = what_ids_tell(seed)[rows].reset_index(drop=True)
    features["crm number"] = features["crm number"] + 250 * label
    assert told_apart(features, label) > 0.65


@pytest.mark.parametrize(
    ("kind", "table", "created"),
    [
        ("crm", "crm_opportunity", "source_created_at"),
        ("crm", "crm_contact", "source_created_at"),
        ("projects", "pm_project", "source_created_at"),
        ("risk", "risk", "identified_at"),
        ("support", "support_ticket", "created_at"),
        ("cs", "cs_goal", "source_created_at"),
        ("cs", "treatment", "assigned_at"),
        ("billing", "billing_invoice", "issued_at"),
        ("billing", "billing_payment", "occurred_at"),
        ("engagement", "cs_note", "source_created_at"),
        ("cs", "cs_note", "source_created_at"),
    ],
)
def test_numbers_of_records_follow_their_creation_and_nothing_else(kind, table, created):
    rows = records(7, kind, table)
    key = landing_tables()[table].key[0]
    number = rows[key].str.extract(r"(\d+)$")[0].astype(int)
    in_order = rows.assign(number=number).sort_values("number")[created]
    # A few records have a created time of their own, such as a deal closed on the day it was entered.
    steps = in_order.diff().dropna()
    assert (steps >= pd.Timedelta(0)).mean() > 0.97


def test_event_ids_tell_their_week_and_nothing_else():
    events = records(7, "usage", "usage_event")
    week = events["event_id"].str[2:5].astype(int)
    assert (week == events["week"]).all()
    number = events["event_id"].str[5:].astype(int)
    by_service = events["user_id"].str.startswith("service-")
    some = events["week"].between(60, 90)
    assert abs(np.corrcoef(number[some], by_service[some])[0, 1]) < 0.02
    late = (events["received_at"] - events["occurred_at"]).dt.days > 3
    assert abs(np.corrcoef(number[some] % 1000, late[some])[0, 1]) < 0.02
