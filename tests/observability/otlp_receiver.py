"""A collector for tests: takes OTLP over HTTP, decodes the protobuf, keeps what came. Or a dead one, in many ways."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
def collector(status: int = 200, delay_seconds: float = 0.0) -> Iterator[Received]:
    """A collector on a free port of this machine; `status` and `delay_seconds` make it a sick one."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(delay_seconds)
            answer = _take(received, self.path, body) if status == 200 else b""
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *told: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    received.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def silent_collector() -> Iterator[str]:
    """Takes the connection, and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def nobody_there() -> str:
    """An address at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
