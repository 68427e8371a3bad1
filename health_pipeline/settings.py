"""Where state lives and which environment this is. Settings come from the environment; policy from YAML."""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

REPOSITORY = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """State folder, policy folder and dbt target, read from `HEALTH_*` environment variables.

    Attributes
    ----------
    home : Path
        `HEALTH_HOME`: every store lives under it. Default `var/` in the checkout.
    policy : Path or None
        `HEALTH_POLICY`: a folder whose YAML documents take the place of the built-in ones of the same name.
    target : str
        `HEALTH_TARGET`: the dbt target.
    webhook_url : str or None
        `HEALTH_WEBHOOK_URL`: failed runs and checks, and new high risks, are posted there as JSON, without any
        customer's text; failures are logged in any case.
    duckdb_memory_limit : str
        `HEALTH_DUCKDB_MEMORY_LIMIT`: what DuckDB may use, such as `4GB`; it spills to disk beyond. dbt's own
        process takes about 0.3 GB on top, the run that started it up to 1 GB, and of 10,000 customers with two years
        behind them the second process another 1.1 GB until accounts are told, and half of it afterwards.
    ledger_database : str or None
        `HEALTH_LEDGER_URL`: SQLAlchemy URL of the ledger where several people write, such as
        `postgresql+psycopg://desk@db/ledger`; a SQLite file under `home` where it is not given.
    run_lock_wait_seconds : float
        `HEALTH_RUN_LOCK_WAIT_SECONDS`: how long a run waits for another one to end.
    otel_endpoint : str or None
        `HEALTH_OTEL_ENDPOINT`: base address of an OpenTelemetry collector that takes OTLP over HTTP, such as
        `http://localhost:4318`; each run sends its trace and figures there when it ends. Off where it is not given.
    """

    model_config = SettingsConfigDict(env_prefix="HEALTH_", env_ignore_empty=True, frozen=True)

    home: Path = Field(default=REPOSITORY / "var")
    policy: Path | None = None
    target: str = "duckdb"
    webhook_url: str | None = None
    duckdb_memory_limit: str = "2GB"
    run_lock_wait_seconds: float = 3600.0
    otel_endpoint: str | None = None
    ledger_database: str | None = Field(
        default=None, validation_alias=AliasChoices("HEALTH_LEDGER_URL", "ledger_database")
    )

    def model_post_init(self, context: object) -> None:
        """Make the state folder absolute once, so that a change of working directory moves nothing."""
        object.__setattr__(self, "home", self.home.expanduser().resolve())
        if self.policy is not None:
            object.__setattr__(self, "policy", self.policy.expanduser().resolve())

    @property
    def landing(self) -> Path:
        """Immutable Parquet extracts, one folder per load."""
        return self.home / "landing"

    @property
    def quarantine(self) -> Path:
        """Refused and held loads, each with its reason."""
        return self.home / "quarantine"

    @property
    def kept_policies(self) -> Path:
        """Every policy document that ever judged a week, by the hash of its content."""
        return self.home / "kept_policies"

    @property
    def identity(self) -> Path:
        """The crosswalk as Parquet, rewritten whole by each run from the committed loads."""
        return self.home / "identity"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file private to the pipeline."""
        return self.home / "warehouse" / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        """`releases/<release>/` and the link `current`."""
        return self.home / "published"

    @property
    def restricted(self) -> Path:
        """Quotes, names and briefs; read by the desk alone."""
        return self.home / "restricted"

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL of the ledger (incidents, adoptions, decisions)."""
        return self.ledger_database or f"sqlite:///{self.home / 'ledger' / 'ledger.db'}"

    @property
    def ledger_text_key(self) -> Path:
        """The key of the digests that stand for people's words in the ledger; readable by its owner alone."""
        return self.home / "ledger" / "text.key"

    @property
    def reports(self) -> Path:
        """Self-contained HTML reports."""
        return self.home / "reports"

    @property
    def emitted(self) -> Path:
        """The published plan and review tasks as files, a folder per week."""
        return self.home / "emitted"

    @property
    def scratch(self) -> Path:
        """Work in progress: candidates being built, dbt's target folder. Cleared at the start of a run."""
        return self.home / "scratch"

    @property
    def run_records(self) -> Path:
        """What each run did, a JSON file per run; the next release's `run_summary` takes them in."""
        return self.home / "run_records"

    @property
    def dagster_home(self) -> Path:
        """Dagster's own storage, so that run history survives."""
        return self.home / "dagster"

    @property
    def run_lock(self) -> Path:
        """The one operating-system lock that guards the warehouse."""
        return self.home / "run.lock"
