"""Commands on the documents people tune."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from health_pipeline.cli.terminal import out, policy_app
from health_pipeline.orchestration.console import failing_in_one_sentence
from health_pipeline.settings import Settings


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


@policy_app.command("budget")
def policy_budget(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder with another risk_signals.yaml, shown beside the one in force.")
    ] = None,
    weeks: Annotated[int, typer.Option(min=1, help="How many of the newest published weeks to count.")] = 26,
    output: Annotated[Path | None, typer.Option(help="Write the count of every signal and week as CSV here.")] = None,
) -> None:
    """Say on how many accounts each risk signal would have fired, week by week. Publishes nothing."""
    from health_pipeline.orchestration import policy_budget as counting  # noqa: PLC0415

    with failing_in_one_sentence(out):
        found = counting.policy_budget(Settings(), folder, weeks)
        for part in counting.policy_budget_text(found):
            out.print(part)
        if output is not None:
            counting.write_budget(found.then or found.now, output)
            out.print(f"The counts of every week are in {output}.")


@policy_app.command("thresholds")
def policy_thresholds() -> None:
    """Say what people made of the risks each signal fired on, with intervals. Writes reports/thresholds.md."""
    from health_pipeline.reporting.thresholds import report_lines, write_threshold_report  # noqa: PLC0415

    with failing_in_one_sentence(out):
        report, path = write_threshold_report(Settings())
        for line in report_lines(report):
            out.print(line, markup=False)
        out.print(f"The report is {path}.")
