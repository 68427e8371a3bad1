"""Sends a run's record to an OpenTelemetry collector, as one trace and its figures.

OpenTelemetry is imported here alone, and only where a collector is set. Everything is made from the record when the run
has ended: while it works nothing of OpenTelemetry does, and a killed run is sent by the next one. What leaves is ids,
counts, weeks and names of steps; every value passes `plain`.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from health_pipeline.observability.logs import get_logger
from health_pipeline.observability.patience import within
from health_pipeline.observability.run_record import WHOLE_RUN, RunRecord, StepRecord
from health_pipeline.observability.webhook import is_web_address, is_web_page

if TYPE_CHECKING:
    import requests
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

# A run waits this long for the collector, once, when its work is done; what is not sent by then is left.
PATIENCE_SECONDS = 3.0
NAMESPACE = "health_pipeline"
PACKAGE = "customer-health-pipeline"
# Ids, dates, versions, classes, names of steps: no blank, no quote, no @. A sentence or an address never fits.
_PLAIN = re.compile(r"[A-Za-z0-9_.:/-]{1,80}")
SEVERITIES = ("critical", "warning", "info")
logger = get_logger("observability")

Attributes = dict[str, str | int | float]


def deliver(record: RunRecord, endpoint: str | None, patience_seconds: float = PATIENCE_SECONDS) -> bool:
    """Send a run's trace and figures; raises nothing, and is back after `patience_seconds` at the latest.

    Parameters
    ----------
    endpoint : base address of the collector; None: nothing is sent, and nothing of OpenTelemetry is imported

    Returns
    -------
    bool
        Whether the collector took both. Where it did not, one line of the log says why.
    """
    if endpoint is None:
        return False
    if not is_web_address(endpoint):
        logger.warning("telemetry_refused", reason="HEALTH_OTEL_ENDPOINT must start with https:// or http://")
        return False
    try:
        reason = within(patience_seconds, lambda: _send(record, endpoint, patience_seconds), "telemetry")
    except TimeoutError as error:
        reason = str(error)
    if reason:
        logger.warning("telemetry_not_delivered", run=record.run_id, reason=reason)
    return reason is None


def _send(record: RunRecord, endpoint: str, timeout_seconds: float) -> str | None:
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.metrics.export import MetricExportResult  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415
    except ImportError as error:
        return f"{error.name} is not installed; run `make install`, which brings the extra `otel`"
    # The library tells each try, with the address; one line of ours says how it ended.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    base = endpoint.rstrip("/")
    said: list[str] = []
    spans = OTLPSpanExporter(endpoint=f"{base}/v1/traces", timeout=timeout_seconds, session=_strict_session(said))
    if spans.export(spans_of(record)) is not SpanExportResult.SUCCESS:
        return f"the collector did not take the trace: {_last(said)}"
    said.clear()
    figures = OTLPMetricExporter(endpoint=f"{base}/v1/metrics", timeout=timeout_seconds, session=_strict_session(said))
    if figures.export(metrics_of(record)) is not MetricExportResult.SUCCESS:
        return f"the collector took the trace and not the figures: {_last(said)}"
    return None


def _last(said: list[str]) -> str:
    return said[-1] if said else "there is no answer"


def _strict_session(said: list[str]) -> requests.Session | None:
    """A session that notes what was answered, and takes a redirection or a web page for no answer of a collector.

    The exporter takes every status below 400 for success: a sign-in page before the collector swallowed each run. None
    where a credential provider of the environment makes the session.
    """
    import requests  # noqa: PLC0415

    if any(name.endswith("CREDENTIAL_PROVIDER") for name in os.environ):
        return None

    def judged(answer: requests.Response, *_: Any, **__: Any) -> None:
        is_page = is_web_page(answer.content)
        said.append(f"it answered {answer.status_code}{' with a web page' if is_page else ''}")
        if answer.is_redirect or (answer.ok and is_page):
            raise requests.exceptions.InvalidHeader(said[-1])

    session = requests.Session()
    session.hooks["response"].append(judged)
    return session


def plain(attributes: Mapping[str, Any]) -> Attributes:
    """What may leave: numbers, and texts that are an id, a date or a name of the code; all else is left out."""
    return {
        f"{NAMESPACE}.{name}": value
        for name, value in attributes.items()
        if isinstance(value, int | float) or (isinstance(value, str) and _PLAIN.fullmatch(value))
    }


def plain_name(text: str) -> str:
    """The same for a name that must not be empty."""
    return text if _PLAIN.fullmatch(text) else "unnamed"


def run_attributes(record: RunRecord) -> Attributes:
    """Attributes of a run's span."""
    weeks = None
    if record.first_week and record.last_week:
        weeks = (record.last_week - record.first_week).days // 7 + 1
    return plain(
        {
            "run_id": record.run_id,
            "job": record.job,
            "first_week": record.first_week.isoformat() if record.first_week else None,
            "last_week": record.last_week.isoformat() if record.last_week else None,
            "weeks": weeks,
            "quarter": record.quarter.isoformat() if record.quarter else None,
            "outcome": record.outcome,
            "verdict": record.verdict,
            "release": record.release,
            "peak_memory_bytes": record.peak_memory_bytes,
            **{f"checks.{severity}_failed": record.checks(f"{severity}_checks_failed") for severity in SEVERITIES},
            "checks.evaluated": record.checks("checks_evaluated"),
        }
    )


def step_attributes(step: StepRecord) -> Attributes:
    """Attributes of a step's span."""
    return plain(
        {
            "step": step.step,
            "stage": step.stage,
            "outcome": step.outcome,
            "error_type": step.error,
            "rows": step.rows,
            "peak_memory_bytes": step.peak_memory_bytes,
            **{f"checks.{severity}_failed": getattr(step, f"{severity}_checks_failed") for severity in SEVERITIES},
            "checks.evaluated": step.checks_evaluated,
        }
    )


def spans_of(record: RunRecord) -> Sequence[ReadableSpan]:
    """The run's trace: a span of the run, one of each step below it, one of each part below its step.

    The trace's id is the run's, so that one is found by the other; where what started the run told its own trace
    (`TRACEPARENT`, W3C Trace Context), the run is a span of that one.
    """
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    class RunIds(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            digits = record.run_id.replace("-", "")
            return int(digits, 16) if re.fullmatch(r"[0-9a-f]{32}", digits) else super().generate_trace_id()

        def is_trace_id_random(self) -> bool:
            return False

    taken = InMemorySpanExporter()
    provider = TracerProvider(resource=_resource(), id_generator=RunIds(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(taken))
    tracer = provider.get_tracer(NAMESPACE)
    parent = TraceContextTextMapPropagator().extract({"traceparent": record.traceparent or ""})
    run = tracer.start_span(
        plain_name(record.job),
        parent,
        attributes=run_attributes(record),
        start_time=_nanoseconds(record.started_at),
    )
    of_steps: dict[str, trace.Span] = {}
    # A step lies around its parts, and is on record after them.
    for step in sorted(record.steps, key=lambda step: "/" in step.step):
        above = of_steps.get(step.step.partition("/")[0], run)
        span = tracer.start_span(
            plain_name(step.stage),
            trace.set_span_in_context(above),
            attributes=step_attributes(step),
            start_time=_nanoseconds(step.started_at),
        )
        _end(span, step.outcome, _ended_at(step))
        of_steps[step.step] = span
    _end(run, record.outcome, _run_ended_at(record))
    return taken.get_finished_spans()


def _end(span: Any, outcome: str, at: datetime) -> None:
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415

    # Without a description: what an error says may quote what was read.
    span.set_status(Status(StatusCode.OK if outcome == "succeeded" else StatusCode.ERROR))
    span.end(_nanoseconds(at))


def _ended_at(step: StepRecord) -> datetime:
    return step.started_at + timedelta(seconds=step.seconds or 0)


def _run_ended_at(record: RunRecord) -> datetime:
    if record.seconds is not None:
        return record.started_at + timedelta(seconds=record.seconds)
    # Killed: it is known to have lived until its last step ended.
    return max([record.started_at, *(_ended_at(step) for step in record.steps)])


def metrics_of(record: RunRecord) -> MetricsData:
    """The run's figures as gauges: the newest run's value stands until the next one's.

    Counters would begin anew with each run's process. Attributes name job, stage and step alone: series stay few.
    """
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: PLC0415

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], resource=_resource(), shutdown_on_exit=False)
    meter = provider.get_meter(NAMESPACE)
    for name, unit, description, points in _figures(record):
        gauge = meter.create_gauge(f"{NAMESPACE}.{name}", unit=unit, description=description)
        for value, attributes in points:
            if value is not None:
                named = {"job": record.job, **attributes}
                gauge.set(value, {name: plain_name(text) for name, text in named.items()})
    data = reader.get_metrics_data()
    assert data is not None  # a run has at least an outcome
    return data


Point = tuple[float | None, dict[str, str]]


def _figures(record: RunRecord) -> Iterator[tuple[str, str, str, list[Point]]]:
    by_step = [({"stage": step.stage, "step": step.step}, step) for step in record.steps]
    whole = {"stage": WHOLE_RUN, "step": WHOLE_RUN}
    yield "duration", "s", "Wall time", [(record.seconds, whole), *((step.seconds, its) for its, step in by_step)]
    yield "rows", "{row}", "Rows of the tables a step built", [(step.rows, its) for its, step in by_step]
    yield (
        "peak_memory",
        "By",
        "Resident memory at most, with the processes it started",
        [(record.peak_memory_bytes, whole), *((step.peak_memory_bytes, its) for its, step in by_step)],
    )
    yield (
        "checks_failed",
        "{check}",
        "Asset checks that failed",
        [(record.checks(f"{severity}_checks_failed"), {"severity": severity}) for severity in SEVERITIES],
    )
    yield "runs", "{run}", "1 for how the newest run ended", [(1, {"outcome": record.outcome})]
    if record.verdict:
        yield "verdicts", "{verdict}", "1 for what came of the newest candidate", [(1, {"verdict": record.verdict})]


def _resource() -> Resource:
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415

    return Resource.create({"service.name": PACKAGE, "service.version": version(PACKAGE)})


def _nanoseconds(moment: datetime) -> int:
    # A float of nanoseconds since 1970 is off by a hundred of them.
    whole = moment.replace(tzinfo=UTC, microsecond=0)
    return int(whole.timestamp()) * 10**9 + moment.microsecond * 1000
