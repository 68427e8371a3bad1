"""The `health-pipeline` command. Each command says what it did, and exits 0 only if it did it."""

from __future__ import annotations

import getpass
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from health_pipeline.contract.clocks import SystemClock, Week
from health_pipeline.orchestration.console import failing_in_one_sentence, show_progress
from health_pipeline.policy.company import load_company
from health_pipeline.settings import REPOSITORY, Settings

app = typer.Typer(
    help="The weekly health review and the quarterly segmentation review. State lives under HEALTH_HOME "
    "(default var/), policy under HEALTH_POLICY.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
loads_app = typer.Typer(help="What came in: committed loads, and loads that wait for a person.", no_args_is_help=True)
policy_app = typer.Typer(help="The documents people tune.", no_args_is_help=True)
mapping_app = typer.Typer(help="The mapping that says what your own files hold.", no_args_is_help=True)
incidents_app = typer.Typer(help="Refused publications and who looks after them.", no_args_is_help=True)
app.add_typer(loads_app, name="loads")
app.add_typer(mapping_app, name="mapping")
app.add_typer(policy_app, name="policy")
app.add_typer(incidents_app, name="incidents")
# Bound to the terminal as it is now: a run sends what dbt prints elsewhere.
out = Console(soft_wrap=True, highlight=False, file=sys.stdout, width=None if sys.stdout.isatty() else 200)

WeekOption = Annotated[str, typer.Option("--week", help="The Monday a week starts, YYYY-MM-DD.")]
ByOption = Annotated[str, typer.Option("--by", help="Who decides: a person's name or address. It is recorded.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why. It is recorded.")]


@app.command()
def demo(
    accounts: Annotated[int, typer.Option(min=20, help="How many accounts the demo company has had.")] = 400,
    seed: Annotated[int, typer.Option(help="The seed it is simulated from.")] = 7,
    company: Annotated[
        Literal["software", "services"],
        typer.Option(help="What it sells; services have no product use, and a policy of their own."),
    ] = "software",
) -> None:
    """Run the whole review on the demo company: a year of weeks, three quarters of segments, a report."""
    from health_pipeline.orchestration.demo import run_demo  # noqa: PLC0415

    with failing_in_one_sentence(out), show_progress(out):
        for line in run_demo(Settings(), seed, accounts, company):
            out.print(line)


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


@app.command()
def weekly(
    week: WeekOption,
    weeks: Annotated[int, typer.Option(min=1, help="How many weeks up to that one, in one run and one release.")] = 1,
    restate: Annotated[
        str | None, typer.Option(help="Replace published weeks that come out differently. Give the reason.")
    ] = None,
) -> None:
    """Run the weekly review and publish it, if the audit lets it through."""
    from health_pipeline.orchestration.run import run_weekly, weeks_to_review  # noqa: PLC0415

    with failing_in_one_sentence(out), show_progress(out):
        settings = Settings()
        company = load_company(settings.policy).model
        chosen = weeks_to_review(Week.parse(week), weeks, company, SystemClock().now())
        outcome = run_weekly(settings, chosen, restate)
        out.print(outcome.detail)


@app.command()
def quarterly(
    quarter: Annotated[str, typer.Option("--quarter", help="A quarter's first day, YYYY-MM-DD.")],
) -> None:
    """Refit the segments on a quarter's published features and publish the candidate model."""
    from health_pipeline.orchestration.run import run_quarterly  # noqa: PLC0415

    with failing_in_one_sentence(out), show_progress(out):
        settings = Settings()
        company = load_company(settings.policy).model
        outcome = run_quarterly(settings, company.quarter(quarter))
        out.print(outcome.detail)


@app.command()
def adopt(segment_model_id: str, by: ByOption, reason: ReasonOption) -> None:
    """Adopt a segment model: it is in force from the next Monday that is not published yet."""
    from health_pipeline.segmentation.adoption import adopt_model  # noqa: PLC0415

    with failing_in_one_sentence(out):
        effective_from = adopt_model(Settings(), segment_model_id, by, reason, SystemClock().now())
        out.print(f"{segment_model_id} is in force from {effective_from}, adopted by {by}.")


@app.command()
def explain(
    account: Annotated[str, typer.Argument(help="The account: its id, a unique part of its name, or a source's id.")],
    week: Annotated[
        str | None, typer.Option("--week", help="A published week; the newest unless told otherwise.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: everything, unrounded.")] = False,
) -> None:
    """Explain one account's week: tier and why, every measure, what is unknown, the change, the plan, the records."""
    from health_pipeline.reporting import explain as reading  # noqa: PLC0415
    from health_pipeline.reporting.explanation_text import explanation_text  # noqa: PLC0415

    with failing_in_one_sentence(out):
        explained = reading.explain(Settings(), account, None if week is None else Week.parse(week))
        if as_json:
            typer.echo(reading.as_json(explained))
        else:
            for part in explanation_text(explained):
                out.print(part)


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


@policy_app.command("check")
def policy_check(
    weights: Annotated[bool, typer.Option(help="Show the weights as written and normalised.")] = True,
) -> None:
    """Validate every policy document: all errors, which file is used for what, weights in both forms."""
    from health_pipeline.orchestration.policy_check import check_policy, policy_check_text  # noqa: PLC0415

    with failing_in_one_sentence(out):
        checked = check_policy(Settings())
        for part in policy_check_text(checked, weights):
            out.print(part)
        if not checked.is_usable:
            raise typer.Exit(1)


@policy_app.command("what-if")
def policy_what_if(
    folder: Annotated[Path, typer.Argument(help="A folder of policy documents, as HEALTH_POLICY would name it.")],
    weeks: Annotated[int, typer.Option(min=1, help="How many of the newest published weeks to replay.")] = 1,
    output: Annotated[Path | None, typer.Option(help="Write every account as CSV here.")] = None,
) -> None:
    """Say who would move under other documents. Publishes nothing."""
    from health_pipeline.mart.published import read_published  # noqa: PLC0415
    from health_pipeline.reporting import what_if_text as comparing  # noqa: PLC0415

    with failing_in_one_sentence(out):
        settings = Settings()
        compared, notes = comparing.run_what_if(settings, folder, weeks)
        rows = read_published(settings, "accounts").to_pylist()
        names = {row["account_id"]: row["account_name"] or "" for row in rows}
        for part in comparing.what_if_text(compared, notes, names, folder):
            out.print(part)
        if output is not None:
            comparing.write_csv(compared, output)
            out.print(f"{len(compared.accounts)} rows are in {output}.")


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Say it as JSON.")] = False,
) -> None:
    """Look at this installation: what is wrong, what that means, what to do. Exits with 1 if anything is severe."""
    from health_pipeline.orchestration.doctor.diagnosis import diagnose  # noqa: PLC0415
    from health_pipeline.orchestration.doctor.gathering import gather_environment, gather_stores  # noqa: PLC0415

    with failing_in_one_sentence(out):
        settings, now = Settings(), datetime.now(UTC).replace(tzinfo=None)
        diagnosis = diagnose(gather_environment(settings, now), gather_stores(settings, now))
        if as_json:
            print(json.dumps(diagnosis.as_dict(), indent=1, ensure_ascii=False))
        else:
            for line in diagnosis.lines():
                out.print(line, markup=False)
        raise typer.Exit(1 if diagnosis.is_severe else 0)


@app.command()
def validate(
    features: Annotated[
        Path | None, typer.Option(help="Parquet of account_features_weekly; without: the published mart.")
    ] = None,
    outcomes: Annotated[Path | None, typer.Option(help="Parquet of account_outcomes_weekly, with --features.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the page; without: HEALTH_HOME/reports.")] = None,
) -> None:
    """Hold the scores against what happened after: a page, every figure as CSV, learnt weights to compare with."""
    from health_pipeline.reporting.validation import validate as hold_against_outcomes  # noqa: PLC0415

    with failing_in_one_sentence(out), show_progress(out):
        report = hold_against_outcomes(Settings(), output, features, outcomes)
        out.print(f"[bold]{report.verdict.headline}[/bold]")
        for label, sentence in report.verdict.statements:
            out.print(f"{label + ':':<22} {sentence}", markup=False)
        out.print(f"Page       {report.page}")
        out.print(f"Figures    {report.figures}")
        if report.challenger is not None:
            out.print(f"Challenger {report.challenger}")


@app.command()
def dictionary(
    check: Annotated[bool, typer.Option("--check", help="Only say whether the file is up to date.")] = False,
) -> None:
    """Write docs/data-dictionary.md from the contract."""
    from health_pipeline.reporting.dictionary import data_dictionary  # noqa: PLC0415

    path = REPOSITORY / "docs" / "data-dictionary.md"
    text = data_dictionary()
    with failing_in_one_sentence(out):
        if check and (not path.exists() or path.read_text(encoding="utf-8") != text):
            raise ValueError(f"{path.relative_to(REPOSITORY)} is not what the contract says; run `make dictionary`.")
        if not check:
            path.write_text(text, encoding="utf-8")
        out.print(f"{path.relative_to(REPOSITORY)} is up to date.")


@app.command()
def dev(port: Annotated[int, typer.Option(help="Port of Dagster's UI.")] = 3000) -> None:
    """Start Dagster's UI and its daemon on this machine."""
    from health_pipeline.orchestration.serve import serve  # noqa: PLC0415

    with failing_in_one_sentence(out):
        raise typer.Exit(serve(Settings(), port))


def main() -> None:
    """Entry point of the `health-pipeline` command."""
    if not (REPOSITORY / "dbt_project").is_dir() and "doctor" not in sys.argv:
        sys.exit(
            f"There is no dbt project beside the code in {REPOSITORY}: it runs from its checkout; clone the repository "
            "and run `make install` there."
        )
    app()


if __name__ == "__main__":
    main()
