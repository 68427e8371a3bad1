"""Commands that review: the demo, weeks, quarters, adopting segments, and what a review says of one account."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from health_pipeline.cli.terminal import ByOption, ReasonOption, WeekOption, app, out
from health_pipeline.contract.clocks import SystemClock, Week
from health_pipeline.orchestration.console import failing_in_one_sentence, show_progress
from health_pipeline.policy.company import load_company
from health_pipeline.settings import Settings


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


@app.command()
def weekly(
    week: WeekOption,
    weeks: Annotated[int, typer.Option(min=1, help="How many weeks up to that one, in one run and one release.")] = 1,
    restate: Annotated[
        str | None, typer.Option(help="Replace published weeks that come out differently. Give the reason.")
    ] = None,
) -> None:
    """Run the weekly review and publish it, if the audit lets it through."""
    from health_pipeline.orchestration.beside import Beside  # noqa: PLC0415
    from health_pipeline.orchestration.weeks import weeks_to_review  # noqa: PLC0415

    with failing_in_one_sentence(out), show_progress(out):
        settings = Settings()
        company = load_company(settings.policy).model
        chosen = weeks_to_review(Week.parse(week), weeks, company, SystemClock().now())
        beside = Beside.of(settings)
        with beside.begun():
            # Dagster and the rooms are loaded meanwhile
            from health_pipeline.orchestration.build import build_definitions  # noqa: PLC0415
            from health_pipeline.orchestration.run import run_weekly  # noqa: PLC0415

            outcome = run_weekly(settings, chosen, restate, build_definitions(settings, beside=beside))
        out.print(outcome.detail)


@app.command()
def quarterly(
    quarter: Annotated[str, typer.Option("--quarter", help="A quarter's first day, YYYY-MM-DD.")],
    restate: Annotated[
        str | None, typer.Option(help="Replace a published quarter that comes out differently. Give the reason.")
    ] = None,
) -> None:
    """Refit the segments on a quarter's published features, judge them, publish, and write the three reports."""
    from health_pipeline.orchestration.run import run_quarterly  # noqa: PLC0415

    with failing_in_one_sentence(out), show_progress(out):
        settings = Settings()
        company = load_company(settings.policy).model
        outcome = run_quarterly(settings, company.quarter(quarter), restate_reason=restate)
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
    account: Annotated[
        str, typer.Argument(help="The account: its id, a unique part of its name, or a source's id. Or a packet's id.")
    ],
    week: Annotated[
        str | None, typer.Option("--week", help="A published week; the newest unless told otherwise.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: everything, unrounded.")] = False,
) -> None:
    """Explain one account's week: tier and why, every measure, what is unknown, the change, the plan, the records.

    Of a risk packet: its brief, where you may read it, and the landed records behind each piece of evidence.
    """
    from health_pipeline.reporting import explain as reading  # noqa: PLC0415
    from health_pipeline.reporting import explain_packet as packets  # noqa: PLC0415
    from health_pipeline.reporting.explanation_text import explanation_text  # noqa: PLC0415

    chosen = None if week is None else Week.parse(week)
    if packets.is_packet_id(account):
        with failing_in_one_sentence(out):
            found = packets.explain_packet(Settings(), account, chosen)
            typer.echo(packets.packet_json(found) if as_json else "\n".join(packets.packet_lines(found)))
        return
    with failing_in_one_sentence(out):
        explained = reading.explain(Settings(), account, None if week is None else Week.parse(week))
        if as_json:
            typer.echo(reading.as_json(explained))
        else:
            for part in explanation_text(explained):
                out.print(part)


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
