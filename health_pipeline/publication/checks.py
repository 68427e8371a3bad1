"""Dagster checks of what is published: is the newest week there, and is the current release whole?"""

import dagster as dg

from health_pipeline.contract.clocks import last_ended_week
from health_pipeline.policy.company import load_company
from health_pipeline.publication.releases import current_release, damages


def build_checks() -> list[dg.AssetChecksDefinition]:
    """Checks that run in the weekly job and by themselves."""

    @dg.asset_check(
        asset="release",
        name="newest_week_is_published",
        description="The newest week that has ended and is known is in the current release. A backfill of old weeks "
        "does not make it pass.",
        required_resource_keys={"settings", "clock"},
    )
    def newest_week_is_published(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        settings = context.resources.settings
        company = load_company(settings.policy).model
        expected = last_ended_week(context.resources.clock.now(), company.cutoff_hours)
        release = current_release(settings)
        newest = release.published_weeks[-1] if release and release.published_weeks else None
        behind = (expected.monday - newest.monday).days // 7 if newest else None
        return dg.AssetCheckResult(
            passed=behind is not None and behind <= 0,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"Newest week published: {newest or 'none'}; newest week that has ended: {expected}.",
            metadata={"weeks behind": behind if behind is not None else -1},
        )

    @dg.asset_check(
        asset="release",
        name="current_release_is_whole",
        description="Every file of the current release matches the checksum in its manifest, and nothing was added.",
        required_resource_keys={"settings"},
    )
    def current_release_is_whole(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        release = current_release(context.resources.settings)
        found = damages(release) if release else ["nothing is published yet"]
        return dg.AssetCheckResult(
            passed=not found,
            severity=dg.AssetCheckSeverity.ERROR,
            description="; ".join(found[:3]) or f"{release.name if release else ''} is whole.",
            metadata={"problems": len(found)},
        )

    return [newest_week_is_published, current_release_is_whole]
