"""Commands that keep it running: releases, copies, incidents, the doctor, the dictionary, the UI."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from health_pipeline.cli.terminal import ByOption, ReasonOption, app, incidents_app, out
from health_pipeline.contract.clocks import SystemClock, Week, naive_utc
from health_pipeline.orchestration.console import failing_in_one_sentence
from health_pipeline.settings import REPOSITORY, Settings


@app.command()
def rollback(
    release: Annotated[str, typer.Argument(help="The release to go back to; `releases` lists them.")],
    by: ByOption,
    reason: ReasonOption,
) -> None:
    """Make an earlier release current again. It is recorded."""
    from health_pipeline.publication.releases import rollback as roll_back  # noqa: PLC0415

    with failing_in_one_sentence(out):
        roll_back(Settings(), release, reason, by, SystemClock().now())
        out.print(f"{release} is current again, by {by}.")


@app.command()
def releases() -> None:
    """List the releases that are kept; the current one is marked."""
    from health_pipeline.orchestration.overview import releases_table  # noqa: PLC0415

    with failing_in_one_sentence(out):
        out.print(releases_table(Settings()))


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for the files.")],
    table: Annotated[list[str] | None, typer.Option("--table", help="A table; may be given several times.")] = None,
    file_format: Annotated[str, typer.Option("--format", help="csv or parquet.")] = "csv",
    week: Annotated[str | None, typer.Option("--week", help="Only this week, of tables that hold weeks.")] = None,
    bom: Annotated[
        bool, typer.Option("--bom", help="Begin CSV files with a byte order mark, for older Excel.")
    ] = False,
) -> None:
    """Copy published tables into a folder, for spreadsheets: all of them, or those named."""
    from health_pipeline.publication.export import export_tables  # noqa: PLC0415

    with failing_in_one_sentence(out):
        if file_format not in ("csv", "parquet"):
            raise ValueError(f"--format is csv or parquet, not {file_format!r}.")
        chosen = Week.parse(week) if week else None
        done = export_tables(Settings(), folder, table or (), file_format, chosen, bom)  # type: ignore[arg-type]
        for name, rows in done.rows.items():
            out.print(f"{name}: {rows:,} rows")
        out.print(f"{done.folder} holds a copy of release {done.release}.")


@incidents_app.command("list")
def incidents_list(
    is_all: Annotated[bool, typer.Option("--all", help="The closed ones too, with their notes.")] = False,
) -> None:
    """List the incidents that are not closed."""
    from health_pipeline.orchestration.overview import incidents_table  # noqa: PLC0415

    with failing_in_one_sentence(out):
        out.print(incidents_table(Settings(), SystemClock().now(), is_all))


@incidents_app.command("show")
def incidents_show(incident_id: str) -> None:
    """Show one incident: the checks that failed, ids of their rows, and what happened since."""
    from health_pipeline.orchestration.overview import incident_lines  # noqa: PLC0415

    with failing_in_one_sentence(out):
        for line in incident_lines(Settings(), incident_id):
            out.print(line)


@incidents_app.command("assign")
def incidents_assign(
    incident_id: str,
    to: Annotated[str, typer.Option("--to", help="The address of the person who looks after it.")],
    by: Annotated[str, typer.Option("--by", help="Who assigns it.", show_default="who is logged in")] = "",
) -> None:
    """Give an incident to a person."""
    from health_pipeline.quality.incidents import assign_incident  # noqa: PLC0415

    with failing_in_one_sentence(out):
        incident = assign_incident(Settings().ledger_url, incident_id, to, by or getpass.getuser(), SystemClock().now())
        out.print(f"{incident_id} is assigned to {incident.owner_email}.")


@incidents_app.command("close")
def incidents_close(
    incident_id: str,
    by: ByOption,
    note: Annotated[str, typer.Option("--note", help="What was found and done.")],
) -> None:
    """Close an incident."""
    from health_pipeline.quality.incidents import close_incident  # noqa: PLC0415

    with failing_in_one_sentence(out):
        close_incident(Settings().ledger_url, incident_id, by, note, SystemClock().now())
        out.print(f"{incident_id} is closed by {by}.")


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Say it as JSON.")] = False,
    is_audit: Annotated[
        bool, typer.Option("--audit", help="Audit the high-risk accounts instead: what is missing for whom.")
    ] = False,
) -> None:
    """Look at this installation: what is wrong, what that means, what to do. Exits with 1 if anything is severe.

    With --audit: event, evidence, owner, mitigation, escalation decision, decision status, review date and outcome of
    every high-risk account of the newest week. Exits with 1 if anything is missing.
    """
    if is_audit:
        _audit(as_json)
    from health_pipeline.orchestration.doctor.diagnosis import diagnose  # noqa: PLC0415
    from health_pipeline.orchestration.doctor.gathering import gather_environment, gather_stores  # noqa: PLC0415

    with failing_in_one_sentence(out):
        settings, now = Settings(), naive_utc(datetime.now(UTC))
        diagnosis = diagnose(gather_environment(settings, now), gather_stores(settings, now))
        if as_json:
            print(json.dumps(diagnosis.as_dict(), indent=1, ensure_ascii=False))
        else:
            for line in diagnosis.lines():
                out.print(line, markup=False)
        raise typer.Exit(1 if diagnosis.is_severe else 0)


def _audit(as_json: bool) -> None:
    from health_pipeline.orchestration.doctor.risk_audit import gather_audit  # noqa: PLC0415

    with failing_in_one_sentence(out):
        audit = gather_audit(Settings())
        if as_json:
            print(json.dumps(audit.as_dict(), indent=1, ensure_ascii=False))
        else:
            for line in audit.lines():
                out.print(line, markup=False)
        raise typer.Exit(0 if audit.is_complete else 1)


@app.command()
def dictionary(
    check: Annotated[bool, typer.Option("--check", help="Only say whether the files are up to date.")] = False,
) -> None:
    """Write the generated pages of docs/: data-dictionary.md, ai-rmf.md, approved-actions.openapi.json."""
    from health_pipeline.reporting.accountability import accountability_page  # noqa: PLC0415
    from health_pipeline.reporting.dictionary import data_dictionary  # noqa: PLC0415
    from health_pipeline.review.desk.action_feed import openapi_document  # noqa: PLC0415

    with failing_in_one_sentence(out):
        pages = {
            "data-dictionary.md": data_dictionary(),
            "ai-rmf.md": accountability_page(),
            "approved-actions.openapi.json": json.dumps(openapi_document(), indent=1) + "\n",
        }
        for name, text in pages.items():
            path = REPOSITORY / "docs" / name
            if check and (not path.exists() or path.read_text(encoding="utf-8") != text):
                raise ValueError(f"{path.relative_to(REPOSITORY)} is not what it is made from; run `make dictionary`.")
            if not check:
                path.write_text(text, encoding="utf-8")
            out.print(f"{path.relative_to(REPOSITORY)} is up to date.")


@app.command()
def dev(
    port: Annotated[int, typer.Option(help="Port of Dagster's UI.")] = 3000,
    desk_port: Annotated[int, typer.Option(help="Port of the review desk.")] = 8600,
    demo_sign_in: Annotated[
        bool, typer.Option("--demo-sign-in", help="Let whoever is at this machine choose whom to be at the desk.")
    ] = False,
) -> None:
    """Start Dagster's UI, its daemon and the review desk on this machine."""
    from health_pipeline.orchestration.serve import serve  # noqa: PLC0415

    with failing_in_one_sentence(out):
        raise typer.Exit(serve(Settings(), port, desk_port, demo_sign_in))
