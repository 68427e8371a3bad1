"""Writes a challenger as a policy folder with a README; a person reads it, and adopts it or not."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import yaml

from health_pipeline.policy.documents import Document
from health_pipeline.policy.health_score import HealthScorePolicy, load_health_score
from health_pipeline.scoring.validation.challenger import COMPARED, Challenger

ADOPTION = (
    "Nothing adopts it by itself: it is in force only once a person puts this `health_score.yaml` into the folder that "
    "HEALTH_POLICY names."
)


class _Dumper(yaml.SafeDumper):
    """Curves and bands on one line, as a person writes them."""


_Dumper.add_representer(list, lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:seq", data, True))


def write_challenger(
    challenger: Challenger, folder: Path, policy: Document[HealthScorePolicy], policy_folder: Path | None, note: str
) -> Path:
    """Write `health_score.yaml` with the learnt weights, the other documents in force, and a README.

    Parameters
    ----------
    folder : a folder that `health-pipeline policy what-if` can read; made where it is not there
    policy : in force
    policy_folder : HEALTH_POLICY; its other documents are copied, so that what-if compares weights alone
    note : where the figures come from, and that they hold by construction where they do

    Returns
    -------
    Path
        `folder`, whose document was loaded once to make sure that it can be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for document in sorted(policy_folder.glob("*.yaml")) if policy_folder else ():
        _replace(folder / document.name, document.read_text(encoding="utf-8"))
    body = yaml.dump(
        challenger.content, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True
    )
    head = (
        f"# A challenger to health_score {policy.hash}: the same curves, weights learnt from outcomes. See README.md.\n"
    )
    _replace(folder / "health_score.yaml", head + body)
    load_health_score(folder)
    _replace(folder / "README.md", readme(challenger, folder, policy, note))
    return folder


def readme(challenger: Challenger, folder: Path, policy: Document[HealthScorePolicy], note: str) -> str:
    """What it was fitted on, how it did out of time against the policy in force, and who may adopt it."""
    fitted, compared = " to ".join(challenger.fit_weeks), " to ".join(challenger.test_weeks)
    return "\n".join(
        [
            "# A challenger to the health score's weights",
            "",
            f"{ADOPTION} See first who would move: `health-pipeline policy what-if {folder}`.",
            "",
            verdict(challenger),
            "",
            f"- Fitted on {challenger.fit_readings:,} readings of the weeks {fitted}, in which {challenger.fit_events} "
            "accounts are known to have left.",
            f"- Compared on {challenger.test_readings:,} readings of the weeks {compared}, in which "
            f"{challenger.test_events} accounts left. Every label it was fitted on was known before they begin.",
            f"- Against the policy in force, `health_score` {policy.hash}. Curves, tiers and rules are the same; only "
            "weights differ. Scores may rise or fall together under them, and tiers with them: the cut-offs are a "
            "person's to set anew.",
            f"- {note}",
            "",
            "| on the later weeks | policy in force | challenger | difference | interval |",
            "|---|---|---|---|---|",
            *_figure_rows(challenger),
            "",
            "Weights that changed most, in percent of their scorecard:",
            "",
            "| scorecard | measure | in force | learnt |",
            "|---|---|---|---|",
            *_weight_rows(challenger),
            "",
            "Method: log odds of leaving in 13 weeks as a straight line of the score, every weight the policy's times "
            "a factor; log loss with a penalty on the squared logarithm of the factors, which pulls towards the policy "
            f"in force (strength {challenger.pull:g}, chosen on accounts left out). Weights stay positive and outcomes "
            "stay the heaviest group. Intervals resample whole accounts. No account is given a probability, here or "
            "anywhere.",
            "",
        ]
    )


def _figure_rows(challenger: Challenger) -> list[str]:
    rows = []
    for statistic, words in COMPARED.items():
        row = challenger.figure(statistic)
        values = f"{row['policy']:.3f} | {row['challenger']:.3f} | {row['difference']:+.3f}"
        rows.append(f"| {words} | {values} | {row['low']:+.3f} to {row['high']:+.3f} |")
    return rows


def _weight_rows(challenger: Challenger) -> list[str]:
    return [
        f"| {row['scorecard']} | {row['measure']} | {100 * row['normalised_weight']:.1f} | "
        f"{100 * row['normalised_weight_learnt']:.1f} |"
        for row in most_changed(challenger.weights).to_dict("records")
    ]


def verdict(challenger: Challenger) -> str:
    """Whether it ranked later leavers better than the policy in force, in one sentence."""
    row = challenger.figure("auc")
    figures = (
        f"AUC {row['challenger']:.2f} against {row['policy']:.2f}, difference {row['low']:+.2f} to {row['high']:+.2f}"
    )
    if row["low"] > 0:
        return f"On later weeks the learnt weights rank those who left better than the policy in force ({figures})."
    if row["high"] < 0:
        return f"On later weeks the learnt weights rank those who left worse than the policy in force ({figures})."
    return f"On later weeks the learnt weights are not shown to rank better than the policy in force ({figures})."


def most_changed(weights: pd.DataFrame, rows: int = 12) -> pd.DataFrame:
    """The weights that moved most, the largest change first."""
    change = (weights["normalised_weight_learnt"] - weights["normalised_weight"]).abs()
    return weights.loc[change.sort_values(ascending=False, kind="stable").index[:rows]]


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    partial.write_text(text, encoding="utf-8", newline="\n")
    partial.replace(path)
