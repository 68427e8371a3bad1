"""A collector for tests: takes OTLP over HTTP, decodes the protobuf, keeps what came. Or a sick one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from scripted_server import Answer, Asked, scripted


@dataclass
class Received:
    """What a collector was sent."""

    endpoint: str = ""
    bodies: list[bytes] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    # metric, then its points: value by attributes
    points: dict[str, dict[frozenset[tuple[str, Any]], float]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    services: set[str] = field(default_factory=set)
    asked: list[Asked] = field(default_factory=list)

    def span(self, name: str) -> Span:
        (found,) = (span for span in self.spans if span.name == name)
        return found

    def value(self, metric: str, **attributes: str) -> float:
        return self.points[metric][frozenset(attributes.items())]


def values_of(attributes: Any) -> dict[str, Any]:
    return {one.key: _value(one) for one in attributes}


def _value(one: KeyValue) -> Any:
    return getattr(one.value, one.value.WhichOneof("value"))


def _take(received: Received, path: str, body: bytes) -> bytes:
    received.bodies.append(body)
    if path == "/v1/traces":
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            received.services.add(values_of(resource.resource.attributes)["service.name"])
            received.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return ExportTraceServiceResponse().SerializeToString()
    assert path == "/v1/metrics", path
    for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
            received.units[metric.name] = metric.unit
            own = received.points.setdefault(metric.name, {})
            for point in metric.gauge.data_points:
                own[frozenset(values_of(point.attributes).items())] = getattr(point, point.WhichOneof("value"))
    return ExportMetricsServiceResponse().SerializeToString()


@contextmanager
def collector(*sick: Answer, is_well_then: bool = False) -> Iterator[Received]:
    """A collector on a free port of this machine; or one that answers as it is told to, and is well then or never."""
    received = Received()

    def take(asked: Asked) -> Answer:
        answer = _take(received, asked.path, asked.body)
        return Answer(200, answer, {"Content-Type": "application/x-protobuf"})

    with scripted(*sick, *((take,) if is_well_then or not sick else ())) as script:
        received.endpoint = script.url
        received.asked = script.asked
        yield received
