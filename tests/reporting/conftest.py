"""A made-up release to report on: a mart file with every table of the contract, plausible accounts, a manifest."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import empty_table, mart_tables
from health_pipeline.planning.plan import plan_weeks
from health_pipeline.policy.capacity import load_capacity
from health_pipeline.policy.exception_queue import load_exception_queue
from health_pipeline.policy.health_score import Measure, load_health_score
from health_pipeline.policy.playbooks import load_playbooks
from health_pipeline.reporting.weekly import write_weekly_report
from health_pipeline.risk.queue import queue_packets
from health_pipeline.settings import Settings

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "scoring")]

RELEASE = "r000012-20261116T064031-9c1185a5"
NEWEST = Week(date(2026, 11, 9))
PUBLISHED_AT = datetime(2026, 11, 16, 6, 41, 9)
FIRST_NAMES = """
Aldgate Alder Amber Arden Birch Bluewater Bright Calder Cedar Clover Copper Crescent Delta Dunmore Eastgate
Elm Fairview Falcon Fern Foxglove Granite Harbour Hazel Heron Ironbridge Juniper Kestrel Lakeside Larch Linden
"""
LAST_NAMES = "Analytics Foods Logistics Health Robotics Studios Energy Textiles Bank Insurance Travel Media"
OWNERS = ("ana.silva", "ben.okafor", "chloe.martin", "dev.patel", "emil.novak")
SEGMENTS = ("Large and engaged", "Growing fast", "Small and steady")
# feature, raw value of a healthy account, raw value of a weak one
SHAPES = {
    "goals_on_track_share": (0.95, 0.2),
    "overdue_goals": (0, 4),
    "license_utilisation": (0.92, 0.2),
    "usage_change_share_4w": (0.08, -0.45),
    "days_since_last_activity": (1, 26),
    "stickiness": (0.65, 0.12),
    "days_since_last_two_way_touch": (6, 110),
    "engaged_contacts_91d": (5, 1),
    "has_active_champion": (1, 0),
    "oldest_open_ticket_days": (2, 75),
    "csat_91d": (0.97, 0.4),
    "max_days_past_due": (0, 55),
    "csm_sentiment": (5, 1),
    "nps_account_90d": (60, -40),
}


@cache
def measures_by_feature() -> dict[str, tuple[str, Measure]]:
    """The built-in policy's measures by the feature they read."""
    measures = load_health_score(None).model.measures
    return {measure.feature: (name, measure) for name, measure in measures.items()}


@dataclass
class ReleaseBuilder:
    """Builds a release folder; change `edit` to spoil or season a table before it is written."""

    folder: Path
    accounts: int = 60
    weeks: int = 13
    seed: int = 7
    names: dict[int, str] = field(default_factory=dict)
    edit: dict[str, Callable[[list[dict[str, Any]]], list[dict[str, Any]]]] = field(default_factory=dict)

    def build(self) -> Path:
        """Write the mart file and the manifest; return the release folder."""
        tables = self.tables()
        self.folder.mkdir(parents=True)
        with duckdb.connect(str(self.folder / "customer_health.duckdb")) as connection:
            for name, contract in mart_tables().items():
                rows = tables.get(name, empty_table(name))
                if name in self.edit:
                    rows = pa.Table.from_pylist(self.edit[name](rows.to_pylist()), schema=rows.schema)
                connection.register("rows", rows)
                extra = f", timestamp '{PUBLISHED_AT}' as published_at" if contract.partition != "none" else ""
                connection.execute(f"create table {name} as select *{extra} from rows")
                connection.unregister("rows")
        manifest = {
            "release": self.folder.name,
            "base_release": "r000011-20261109T064012-0f3c2a91",
            "kind": "weekly",
            "reason": None,
            "weeks": [str(NEWEST)],
            "built_at": "2026-11-16T06:40:31",
            "published_at": PUBLISHED_AT.isoformat(),
            "content_hash": "9c1185a5c5e9fc54612808977ee8f548",
            "versions": {"code": "0.1.0"},
            "verdict": {
                "verdict_id": "v-5f2b7c",
                "checks_evaluated": [f"suite.check_{number}" for number in range(148)],
                "warnings": ["source_freshness_weekly.optional_sources_are_fresh"],
                "dbt_invocation_id": "0e9b7a52-6f1d-4a6e-8a51-3c2f6d1f9a10",
            },
        }
        (self.folder / "manifest.json").write_text(json.dumps(manifest))
        return self.folder

    def tables(self) -> dict[str, pa.Table]:
        """The tables the report reads, in the contract's schemas."""
        random = np.random.default_rng(self.seed)
        weeks = [NEWEST.shift(-number) for number in reversed(range(self.weeks))]
        strength = np.clip(random.beta(4, 1.9, self.accounts)[:, None], 0.02, 0.98)
        drift = random.normal(-0.001, 0.02, (self.accounts, self.weeks)).cumsum(axis=1)
        health = np.clip(strength + drift, 0.02, 0.99)
        people = [self._account(number, random) for number in range(self.accounts)]
        health_rows: list[dict[str, Any]] = []
        contributions: list[dict[str, Any]] = []
        previous: dict[str, dict[str, Any]] = {}
        movements: list[dict[str, Any]] = []
        changes: list[dict[str, Any]] = []
        melons: list[dict[str, Any]] = []
        for index, week in enumerate(weeks):
            current = {}
            for number, person in enumerate(people):
                if number % 29 == 28 and index < self.weeks - 1:
                    continue  # appears in the newest week
                if number % 31 == 30 and index == self.weeks - 1 and self.weeks > 1:
                    continue  # leaves in the newest week
                row = self._health(person, week, float(health[number, index]), number)
                current[person["account_id"]] = row
                if index == self.weeks - 1:
                    contributions += self._contributions(row, float(health[number, index]), number)
            movements += self._movements(week, previous, current)
            changes += self._changes(week, previous, current)
            melons += self._melons(week, current)
            health_rows += [{k: v for k, v in row.items() if k != "shape"} for row in current.values()]
            previous = current
        tables = {
            "account_health_weekly": health_rows,
            "score_contributions_weekly": contributions,
            "tier_movements_weekly": movements,
            "score_changes_weekly": changes,
            "watermelon_accounts_weekly": melons,
            "accounts": [self._account_row(person) for person in people],
            "source_freshness_weekly": [row for week in weeks for row in self._freshness(week)],
            "segment_models": [self._model()],
            "unmatched_records": self._unmatched(),
        }
        built = {
            name: pa.Table.from_pylist(rows, schema=mart_tables()[name].arrow_schema) for name, rows in tables.items()
        }
        built["risk_packets"], built["exception_queue_weekly"] = self._risks(weeks[-1], current)
        plan = plan_weeks(
            built["account_health_weekly"],
            built["score_contributions_weekly"],
            built["watermelon_accounts_weekly"],
            built["tier_movements_weekly"],
            weeks[-min(3, self.weeks) :],
            load_playbooks(None),
            load_capacity(None),
            empty_table("action_plan_weekly"),
            empty_table("review_tasks"),
            built["risk_packets"],
        )
        built["action_plan_weekly"] = plan.action_plan
        built["action_plan_accounts_weekly"] = plan.action_plan_accounts
        built["review_tasks"] = plan.review_tasks
        built["plan_capacity_weekly"] = plan.capacity
        for name, rows in self._tickets(weeks[-1], built["account_health_weekly"]).items():
            built[name] = pa.Table.from_pylist(rows, schema=mart_tables()[name].arrow_schema)
        return built

    def _risks(self, week: Week, current: dict[str, dict[str, Any]]) -> tuple[pa.Table, pa.Table]:
        """A risk for every third account, queued by the built-in policy."""
        kinds = [
            ("value_outcome", "critical"), ("support", "high"), ("engagement_silence", "medium"), ("adoption", "low"),
            ("sentiment", None),
        ]  # fmt: skip
        clock = {"as_of_at": week.as_of_at.replace(tzinfo=None), "known_at": week.known_at(6).replace(tzinfo=None)}
        packets = []
        for place, (account_id, row) in enumerate(list(current.items())[::3]):
            category, severity = kinds[place % len(kinds)]
            packets.append(
                {
                    "packet_id": f"packet-{account_id}",
                    "account_id": account_id,
                    "week": week.monday,
                    **clock,
                    "side": "risk",
                    "episode": 1,
                    "opened_week": week.shift(-(place % 4)).monday,
                    "last_fired_week": week.monday,
                    "is_quiet": False,
                    "category": category,
                    "severity": severity,
                    "severity_status": "suggested",
                    "state": "detected",
                    "value_at_risk": row["arr_reporting"],
                    "currency": "USD",
                    "owner_email": row["owner_email"],
                    "likelihood": 3,
                    "has_only_absence": category == "engagement_silence",
                    "supporting_evidence": 1,
                    "missing_domains": "usage,sentiment" if place % 7 == 0 else None,
                    "respond_by": week.as_of_at.date() + timedelta(days=3),
                }
            )
        features = [
            {"account_id": account_id, "week": week.monday, "owner_email": row["owner_email"], **clock}
            for account_id, row in current.items()
        ]
        schemas = mart_tables()
        queued = queue_packets(
            pa.Table.from_pylist(packets, schema=schemas["risk_packets"].arrow_schema),
            empty_table("watermelon_accounts_weekly"),
            pa.Table.from_pylist(features, schema=schemas["account_features_weekly"].arrow_schema),
            load_exception_queue(None).model,
            load_capacity(None).model,
        )
        return queued.packets, queued.queue

    def _account(self, number: int, random: np.random.Generator) -> dict[str, Any]:
        name = self.names.get(number)
        if name is None:
            first_names, last_names = FIRST_NAMES.split(), LAST_NAMES.split()
            first = first_names[number % len(first_names)]
            name = f"{first} {last_names[number * 7 % len(last_names)]}"
            if number >= len(first_names) * 4:
                name = f"{name} {number}"
        owner = None if number % 13 == 5 else f"{OWNERS[number * 3 % len(OWNERS)]}@example.com"
        segment = SEGMENTS[int(random.integers(3))] if number % 17 else "unsegmented"
        arr = Decimal(int(np.exp(random.normal(10.6, 0.9)))).quantize(Decimal("0.01"))
        return {
            "account_id": f"acc-{number:05d}",
            "account_name": name,
            "owner_email": owner,
            "segment": segment,
            "arr": None if number % 23 == 11 else arr,
        }

    @staticmethod
    def _clock(week: Week) -> dict[str, Any]:
        return {
            "week": week.monday,
            "as_of_at": week.as_of_at.replace(tzinfo=None),
            "known_at": week.known_at(6).replace(tzinfo=None),
        }

    def _health(self, person: dict[str, Any], week: Week, value: float, number: int) -> dict[str, Any]:
        coverage = 0.35 if number % 19 == 7 else 0.55 + 0.44 * ((number * 37) % 100) / 100
        score = round(value * 100, 4)
        tier = "at_risk" if score < 50 else "watch" if score < 68 else "expansion_ready" if score > 91 else "healthy"
        reason = "score"
        if coverage < 0.5:
            tier, reason = "not_scored", "coverage_floor"
        elif number % 41 == 3 and tier == "at_risk":
            reason = "decisive"
        return {
            "account_id": person["account_id"],
            "segment": person["segment"],
            "segment_model_id": "kmeans-2026Q3-1",
            "scorecard": "established",
            "lifecycle_stage": "onboarding" if number % 15 == 4 else "established",
            "score": None if tier == "not_scored" else score,
            "coverage": coverage,
            "score_tier": None if tier == "not_scored" else tier,
            "tier": tier,
            "effective_tier": "watch" if number == 9 and tier == "healthy" else tier,
            "tier_reason": reason,
            "weeks_in_tier": 1 + number % 6,
            "arr": person["arr"],
            "currency": "USD",
            "arr_reporting": person["arr"],
            "owner_email": person["owner_email"],
            "policy_version": "5d0a7c91be22f014",
            "code_version": "1",
            **self._clock(week),
        }

    @staticmethod
    def _contributions(row: dict[str, Any], value: float, number: int) -> list[dict[str, Any]]:
        by_feature = measures_by_feature()
        clock = {key: row[key] for key in ("account_id", "week", "as_of_at", "known_at")}
        rows = []
        for order, (feature, (good, bad)) in enumerate(SHAPES.items()):
            name, measure = by_feature[feature]
            wobble = ((number * 31 + order * 17) % 11 - 5) / 14
            level = min(max(value + wobble, 0.0), 1.0)
            raw = bad + (good - bad) * level
            if feature not in ("goals_on_track_share", "license_utilisation", "usage_change_share_4w", "csat_91d"):
                raw = round(raw, 2) if feature == "stickiness" else round(raw)
            is_missing = row["tier"] == "not_scored" and order % 3
            weight = 1 / len(SHAPES)
            rows.append(
                {
                    **clock,
                    "measure": name,
                    "measure_group": measure.group,
                    "feature": feature,
                    "raw_value": None if is_missing else float(raw),
                    "curve_value": None if is_missing else level * 100,
                    "weight": 0.0 if is_missing else weight,
                    "nominal_weight": weight,
                    "contribution": None if row["score"] is None else weight * level * 100,
                    "status": "missing" if is_missing else "measured",
                }
            )
        return rows

    @staticmethod
    def _movements(week: Week, previous: dict[str, Any], current: dict[str, Any]) -> list[dict[str, Any]]:
        order = ["at_risk", "watch", "healthy", "expansion_ready"]
        drivers = ["usage_trend", "two_way_touch", "license_utilisation", "ticket_satisfaction"]
        rows = []
        for account_id in sorted(previous.keys() | current.keys()):
            before, now = previous.get(account_id), current.get(account_id)
            if before and now and before["tier"] == now["tier"]:
                continue
            if not previous:
                continue
            movement = "appeared" if before is None else "left" if now is None else ""
            if not movement:
                steps = [order.index(row["tier"]) if row["tier"] in order else -1 for row in (before, now)]
                movement = "up" if steps[1] > steps[0] else "down"
            rows.append(
                {
                    **ReleaseBuilder._clock(week),
                    "account_id": account_id,
                    "movement": movement,
                    "tier_before": before["tier"] if before else None,
                    "tier_after": now["tier"] if now else None,
                    "tier_reason": (now or before)["tier_reason"],
                    "main_driver": drivers[int(account_id[-3:]) % len(drivers)] if movement in ("up", "down") else None,
                    "arr_reporting": (now or before)["arr_reporting"],
                }
            )
        return rows

    @staticmethod
    def _changes(week: Week, previous: dict[str, Any], current: dict[str, Any]) -> list[dict[str, Any]]:
        rows = []
        for account_id, row in current.items():
            before = previous.get(account_id, {}).get("score")
            change = None if before is None or row["score"] is None else row["score"] - before
            rows.append(
                {
                    **ReleaseBuilder._clock(week),
                    "account_id": account_id,
                    "score_before": before,
                    "score_after": row["score"],
                    "score_change": change,
                    "change_from_policy": None if change is None else 0.0,
                    "change_from_coverage": None if change is None else change * 0.1,
                    "change_from_data": None if change is None else change * 0.9,
                    "main_driver": "usage_trend",
                    "main_driver_change": change,
                }
            )
        return rows

    @staticmethod
    def _melons(week: Week, current: dict[str, Any]) -> list[dict[str, Any]]:
        reasons = ("single_threaded", "falling_trend", "missed_goal,csm_disagrees", "low_coverage")
        return [
            {
                **ReleaseBuilder._clock(week),
                "account_id": account_id,
                "reasons": reasons[int(account_id[-3:]) % len(reasons)],
                "reasons_count": 1,
                "score": row["score"],
                "arr_reporting": row["arr_reporting"],
                "owner_email": row["owner_email"],
            }
            for account_id, row in current.items()
            if row["tier"] in ("healthy", "expansion_ready") and int(account_id[-3:]) % 7 == 2
        ]

    @staticmethod
    def _account_row(person: dict[str, Any]) -> dict[str, Any]:
        return {
            "account_id": person["account_id"],
            "account_name": person["account_name"],
            "country": "PT",
            "owner_email": person["owner_email"],
        }

    @staticmethod
    def _freshness(week: Week) -> list[dict[str, Any]]:
        end = week.as_of_at.replace(tzinfo=None)
        rows = []
        kinds = ("crm", "billing", "support", "survey", "usage", "cs", "projects", "risk", "engagement")
        for order, kind in enumerate(kinds):
            connected = kind != "projects"
            stale = kind == "survey"
            known = 60 - order
            rows.append(
                {
                    **ReleaseBuilder._clock(week),
                    "source_kind": kind,
                    "is_connected": connected,
                    "is_required": kind in ("crm", "billing"),
                    "is_stale": stale,
                    "newest_load_at": end + timedelta(hours=2, minutes=7 * order) if connected else None,
                    "newest_fact_at": end - timedelta(days=29 if stale else 0, hours=1 + order) if connected else None,
                    "loads": 53 if connected else 0,
                    # A tenth of what there is comes each week, from a first week long ago.
                    "records": (1200 + 120 * ((week.monday - NEWEST.monday).days // 7)) * (order + 1)
                    if connected
                    else 0,
                    "source_accounts": known if connected else 0,
                    "matched_accounts": known - order // 2 if connected else 0,
                    "match_share": (known - order // 2) / known if connected else None,
                }
            )
        return rows

    @staticmethod
    def _tickets(week: Week, health: pa.Table) -> dict[str, list[dict[str, Any]]]:
        """Two themes and the load behind them: accounts 0 to 4 find it slow, 3 to 5 can't get data out, 6 is quiet."""
        rows = [row for row in health.to_pylist() if row["week"] == week.monday]
        clock, arr = ReleaseBuilder._clock(week), {row["account_id"]: row for row in rows}
        behind = {"slow": [f"acc-{n:05d}" for n in range(5)], "getting_out": [f"acc-{n:05d}" for n in range(3, 6)]}
        accounts, themes = [], []
        for (theme, names), kind in zip(behind.items(), ("defect", "product_gap"), strict=True):
            known = [arr[name]["arr_reporting"] for name in names if arr[name]["arr_reporting"] is not None]
            themes.append(
                {
                    **clock,
                    "theme": theme,
                    "title": theme.replace("_", " ").capitalize(),
                    "kind": kind,
                    "accounts": len(names),
                    "accounts_change": 2,
                    "tickets_28d": len(names),
                    "tickets_91d": 2 * len(names),
                    "tickets_91d_change": -1,
                    "open_tickets": 1,
                    "arr_reporting": sum(known),
                    "arr_reporting_change": Decimal("-1200.00"),
                    "accounts_without_arr": len(names) - len(known),
                    "rules": f"says_{theme} ({2 * len(names)})",
                    "features": "api (4), audit_log (2)",
                    "policy_version": "p",
                }
            )
            accounts += [
                {
                    **clock,
                    "account_id": name,
                    "theme": theme,
                    "rule": f"says_{theme}",
                    "feature_key": "api" if place % 2 else "audit_log",
                    "tickets_28d": 1,
                    "tickets_91d": 2,
                    "open_tickets": 0,
                    "arr_reporting": arr[name]["arr_reporting"],
                    "policy_version": "p",
                }
                for place, name in enumerate(names)
            ]
        none = {"theme": "no_theme", "title": "No theme", "kind": "none", "rules": "no_rule_matched (3)"}
        counts = {"accounts": 1, "tickets_28d": 1, "tickets_91d": 3, "open_tickets": 0, "accounts_without_arr": 0}
        themes.append({**clock, **none, **counts, "arr_reporting": arr["acc-00006"]["arr_reporting"]})
        load = [
            {
                **clock,
                "account_id": name,
                "owner_email": arr[name]["owner_email"],
                "load_rank": place + 1,
                "tickets_opened_28d": 1,
                "tickets_opened_91d": 4 - place // 2,
                "tickets_share_91d": 0.1,
                "open_backlog": place % 2,
                "oldest_open_ticket_days": 12 if place % 2 else None,
                "unreplied_open_tickets": place % 2,
                "urgent_high_share_91d": 0.5,
                "minutes_spent_91d": None if place == 0 else 90,
                "tickets_with_minutes_91d": 0 if place == 0 else 1,
                "arr_reporting": arr[name]["arr_reporting"],
                "tickets_91d_per_100k_arr": None if arr[name]["arr_reporting"] is None else 3.5,
            }
            for place, name in enumerate(f"acc-{number:05d}" for number in range(7))
        ]
        return {
            "defect_themes_weekly": themes,
            "defect_theme_accounts_weekly": accounts,
            "support_load_weekly": load,
        }

    @staticmethod
    def _model() -> dict[str, Any]:
        described = [
            {"segment": "Large and engaged", "description": "many seats, used by most, every week"},
            {"segment": "Growing fast", "description": "young, usage rising"},
            {"segment": "Small and steady", "description": "few seats, even use"},
        ]
        return {
            "segment_model_id": "kmeans-2026Q3-1",
            "quarter": date(2026, 7, 1),
            "status": "adopted",
            "algorithm": "kmeans",
            "k": 3,
            "segments": json.dumps(described),
        }

    @staticmethod
    def _unmatched() -> list[dict[str, Any]]:
        return [
            {
                "source_kind": "billing",
                "source_system": "billing",
                "source_instance": "default",
                "source_account_id": f"cus_{number}",
                "records": 12,
                "revenue_at_stake": Decimal("8400.00"),
                "reason": "no domain in common",
            }
            for number in range(3)
        ]


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release as it comes, built once: tests read it and never write into it."""
    return ReleaseBuilder(tmp_path_factory.mktemp("releases") / RELEASE).build()


@pytest.fixture(scope="session")
def report(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its report."""
    return write_weekly_report(Settings(home=tmp_path_factory.mktemp("home")), release).path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose state folder is this test's own."""
    return Settings(home=tmp_path / "home")


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Callable[..., ReleaseBuilder]]:
    """A builder of releases under this test's folder."""

    def make(name: str = RELEASE, **more: Any) -> ReleaseBuilder:
        return ReleaseBuilder(tmp_path / "releases" / name, **more)

    yield make
