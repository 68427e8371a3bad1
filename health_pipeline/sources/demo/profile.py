"""What kind of company the demo simulates: one that sells software, or one that sells services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from health_pipeline.contract.landing import SOURCE_KINDS, SourceKind

CompanyKind = Literal["software", "services"]


@dataclass(frozen=True)
class Profile:
    """The differences between the two companies that are not a matter of chance.

    `known_share` is the share of the accounts that each kind's system knows; `source_kinds` the kinds that are
    connected. `subjects` are what tickets are about, `plans` what is sold to the three sizes of customer.
    `projects_per_week` is the rate of new projects of an account, apart from its first one.
    """

    kind: CompanyKind
    known_share: dict[SourceKind, float]
    self_hosted_share: float
    subjects: tuple[str, ...]
    plans: tuple[str, str, str]
    projects: tuple[str, str, str]
    projects_per_week: float

    @property
    def has_product(self) -> bool:
        """Whether there is a product whose use can be measured."""
        return self.kind == "software"

    @property
    def source_kinds(self) -> tuple[SourceKind, ...]:
        """The kinds of source system the company has, in the contract's order."""
        return tuple(kind for kind in SOURCE_KINDS if self.has_product or kind != "usage")


FEATURES = (
    "dashboard", "reports", "exports", "alerts", "collaboration", "integrations",
    "automation", "forecasting", "mobile", "api", "admin", "audit_log",
)  # fmt: skip
# Few companies keep a delivery project for everybody; a services company does little else.
SOFTWARE = Profile(
    kind="software",
    known_share={
        "crm": 1.0, "billing": 1.0, "support": 0.97, "survey": 0.92, "usage": 0.97,
        "cs": 0.96, "projects": 0.55, "risk": 0.95, "engagement": 0.95,
    },
    self_hosted_share=0.04,
    subjects=FEATURES,
    plans=("Starter", "Professional", "Enterprise"),
    projects=("Onboarding", "Rollout to another team", "Migration to the new tenant"),
    projects_per_week=0.009,
)  # fmt: skip
SERVICES = Profile(
    kind="services",
    known_share={
        "crm": 1.0, "billing": 1.0, "support": 0.9, "survey": 0.9, "usage": 0.0,
        "cs": 0.97, "projects": 1.0, "risk": 0.95, "engagement": 0.97,
    },
    self_hosted_share=0.0,
    subjects=(
        "the_monthly_report", "the_workshop", "the_design", "the_data_migration", "the_training", "the_audit",
        "the_time_sheet", "the_specification", "the_test_plan", "the_staffing", "the_interface", "the_handover",
    ),
    plans=("Advisory", "Managed service", "Programme"),
    projects=("First engagement", "Further work package", "Change of team"),
    projects_per_week=0.035,
)  # fmt: skip
PROFILES: dict[CompanyKind, Profile] = {"software": SOFTWARE, "services": SERVICES}
