"""Commands on what comes in: a mapping drafted, files loaded, loads that wait for a person."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from health_pipeline.cli.terminal import ByOption, ReasonOption, app, loads_app, mapping_app, out
from health_pipeline.orchestration.console import failing_in_one_sentence, show_progress
from health_pipeline.policy.company import load_company
from health_pipeline.settings import Settings


@mapping_app.command("init")
def mapping_init(
    data: Annotated[Path, typer.Argument(metavar="DIR", help="The folder with your CSV, Parquet, JSON, Excel files.")],
    output: Annotated[Path, typer.Option(help="The new file; one that is there is never written over.")] = Path(
        "mapping.yaml"
    ),
    currency: Annotated[str | None, typer.Option(help="ISO 4217 code of amounts whose file says none.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="Zone of times that name none, such as Europe/Berlin.")] = None,
) -> None:
    """Draft a mapping from your files; its comments say what was guessed, why, and what you have to decide."""
    from health_pipeline.sources.drafting.command import draft_mapping, write_mapping  # noqa: PLC0415
    from health_pipeline.sources.drafting.plan import Options  # noqa: PLC0415

    with failing_in_one_sentence(out):
        settings = Settings()
        options = Options(currency, time_zone, load_company(settings.policy).model.reporting_currency)
        drafted = draft_mapping(data, options, settings.duckdb_memory_limit)
        write_mapping(drafted, output)
        for line in drafted.told(output):
            out.print(line, markup=False)


@app.command()
def load(
    mapping: Annotated[Path, typer.Option(help="The mapping, a YAML file.")],
    data: Annotated[Path, typer.Option(help="The folder the mapping's file patterns are looked up in.")],
    check: Annotated[bool, typer.Option("--check", help="Only say what would come in.")] = False,
    historical: Annotated[
        bool,
        typer.Option("--historical", help="A first load: facts count from when they happened, not from now."),
    ] = False,
) -> None:
    """Bring your own files into the landing, by a mapping."""
    from health_pipeline.orchestration.load_check import check_load  # noqa: PLC0415
    from health_pipeline.orchestration.load_check_words import told  # noqa: PLC0415
    from health_pipeline.sources.files import load_files  # noqa: PLC0415

    with failing_in_one_sentence(out), show_progress(out):
        settings = Settings()
        if check:
            checked = check_load(settings, mapping, data, datetime.now(UTC), historical)
            for line in told(checked):
                out.print(line, markup=False)
            raise typer.Exit(1 if checked.is_refused else 0)
        company = load_company(settings.policy).model
        results = load_files(settings, company, mapping, data, datetime.now(UTC), historical)
        for result in results:
            out.print(f"{result.status}: {result.load_id or '-'} {' '.join(result.messages)}".rstrip())
        bad = [result for result in results if result.status in {"refused", "held"}]
        if bad:
            raise typer.Exit(1)


@loads_app.command("list")
def loads_list() -> None:
    """List the committed loads and the ones that are held or refused."""
    from health_pipeline.sources.landing import Landing  # noqa: PLC0415

    with failing_in_one_sentence(out):
        settings = Settings()
        landing = Landing(settings.landing, settings.quarantine)
        table = Table("load", "kind", "system", "mode", "loaded at (UTC)", "rows", "status")
        for record in landing.loads():
            table.add_row(
                record.load_id,
                record.source_kind,
                record.source_system,
                record.mode,
                f"{record.loaded_at:%Y-%m-%d %H:%M}",
                str(record.rows),
                "committed",
            )
        for waiting in landing.quarantined():
            table.add_row(
                waiting.load_id,
                waiting.source_kind,
                waiting.source_system,
                waiting.mode,
                f"{waiting.loaded_at:%Y-%m-%d %H:%M}",
                str(waiting.rows),
                f"{waiting.status}: {waiting.reason}",
            )
        out.print(table)


@loads_app.command("accept")
def loads_accept(load_id: str, by: ByOption) -> None:
    """Commit a load that was held back for its volume."""
    from health_pipeline.sources.landing import Landing  # noqa: PLC0415

    with failing_in_one_sentence(out):
        settings = Settings()
        landing = Landing(settings.landing, settings.quarantine)
        result = landing.accept(load_id, by, datetime.now(UTC))
        out.print(f"{result.status}: {result.load_id}, accepted by {by}.")


@loads_app.command("reject")
def loads_reject(load_id: str, by: ByOption, reason: ReasonOption) -> None:
    """Refuse a load that was held back; it stays in quarantine."""
    from health_pipeline.sources.landing import Landing  # noqa: PLC0415

    with failing_in_one_sentence(out):
        settings = Settings()
        Landing(settings.landing, settings.quarantine).reject(load_id, by, reason)
        out.print(f"rejected: {load_id}, by {by}.")
