"""The company itself: its calendar, currency, sources and which domains apply to it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator, model_validator

from health_pipeline.contract.clocks import Quarter, Week, quarter_of
from health_pipeline.contract.landing import SourceKind
from health_pipeline.policy.documents import Document, PolicyModel, load_document

Domain = Literal["commercial", "payment", "usage", "support", "engagement", "sentiment", "outcomes", "risk"]

# A domain is known as soon as one of these kinds is connected and knows the account.
DOMAIN_KINDS: dict[Domain, tuple[SourceKind, ...]] = {
    "commercial": ("billing",),
    "payment": ("billing",),
    "usage": ("usage",),
    "support": ("support",),
    "engagement": ("engagement", "cs"),
    "sentiment": ("survey", "cs"),
    "outcomes": ("cs", "projects"),
    "risk": ("risk",),
}


class SourcePolicy(PolicyModel):
    """How one kind of source is treated."""

    required: bool = False
    latency_hours: int = Field(default=24, ge=0, le=24 * 60)
    stale_after_days: int = Field(default=14, ge=1)
    volume_band: tuple[float, float] = (0.4, 3.0)

    @model_validator(mode="after")
    def _band_is_ordered(self) -> SourcePolicy:
        low, high = self.volume_band
        if not 0 <= low < 1 < high:
            raise ValueError(f"volume_band must be [low, high] with 0 <= low < 1 < high, got [{low}, {high}]")
        return self


class CompanyPolicy(PolicyModel):
    """Calendar, currency, spine and sources of the company."""

    company_name: str
    time_zone: str = "UTC"
    cutoff_hours: int = Field(default=6, ge=0, le=72)
    fiscal_year_start_month: int = Field(default=1, ge=1, le=12)
    # The first week that can be reviewed: the first partition. A Monday.
    first_week: date = date(2025, 11, 17)
    live_within_days: int = Field(default=365, ge=28)
    reporting_currency: str = Field(default="USD", pattern="^[A-Z]{3}$")
    # One unit of the currency in the reporting currency; from a date on.
    rates: dict[str, dict[str, float]] = Field(default_factory=dict)
    not_applicable_domains: tuple[Domain, ...] = ()
    stale_domain_after_days: dict[Domain, int] = Field(default_factory=dict)
    data_owner_email: str = "data-team@example.com"
    segment_adoption: Literal["manual", "first_automatic"] = "first_automatic"
    sources: dict[SourceKind, SourcePolicy] = Field(default_factory=dict)

    @field_validator("first_week")
    @classmethod
    def _first_week_is_a_monday(cls, day: date) -> date:
        Week(day)
        return day

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError("time_zone must be a name of the IANA database, such as Europe/Berlin")
        return name

    @field_validator("rates")
    @classmethod
    def _rates_are_dated_and_positive(cls, rates: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        for currency, by_date in rates.items():
            for day, rate in by_date.items():
                date.fromisoformat(day)
                if rate <= 0:
                    raise ValueError(f"the rate of {currency} from {day} must be positive, got {rate}")
        return rates

    @property
    def first_quarter(self) -> Quarter:
        """The first quarter that can be reviewed: the one that holds the first reviewable week."""
        return quarter_of(Week(self.first_week), self.fiscal_year_start_month)

    def quarter(self, text: str) -> Quarter:
        """Read `YYYY-MM-DD` as the first day of a quarter of this company; ValueError says what is wrong."""
        try:
            day = date.fromisoformat(text)
        except ValueError as error:
            raise ValueError(f"{text!r} is not a date; write a quarter's first day as YYYY-MM-DD") from error
        return Quarter(day, self.fiscal_year_start_month)

    @property
    def zone(self) -> ZoneInfo:
        """The company's time zone."""
        return ZoneInfo(self.time_zone)

    def source(self, kind: SourceKind) -> SourcePolicy:
        """How that kind of source is treated; the defaults where the document does not name it."""
        # Our own decisions are known when they are made.
        return self.sources.get(kind, SourcePolicy(latency_hours=0) if kind == "review" else SourcePolicy())


def load_company(folder: Path | None) -> Document[CompanyPolicy]:
    """Read `company.yaml`; PolicyError where it can't be used."""
    return load_document(folder, "company", CompanyPolicy)
