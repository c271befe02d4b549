"""The figures of one program, in the words of ``table``; ``prometheus_client`` keeps and writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder, generate_latest

from server.metrics.table import PREFIX, PROGRAM, Kind, Metric


class Board:
    """Keep the figures of a table, and those of this process (``clawchat_server_process_cpu_seconds_total`` and so on).

    Every figure of the table has the label ``program``, and those of the process have it in their names, so that one
    node_exporter can read what a server and a relay write and still tell of itself.
    """

    def __init__(self, table: Sequence[Metric], program: str) -> None:
        self._program = program
        # they would be one more figure for each counter, which says when it was first seen
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library gives it no types
        self._registry = CollectorRegistry()
        ProcessCollector(namespace=f"{PREFIX}{program}", registry=self._registry)
        self._kept: dict[Metric, Counter | Gauge | Histogram] = {metric: self._make(metric) for metric in table}
        self._absolute: dict[tuple[Metric, tuple[str, ...]], float] = {}
        for metric in table:
            if not metric.labels:
                self._of(metric, {})  # told from the beginning, as 0

    def _make(self, metric: Metric) -> Counter | Gauge | Histogram:
        labels = (PROGRAM, *metric.labels)
        if metric.kind is Kind.HISTOGRAM:
            return Histogram(metric.name, metric.help, labels, registry=self._registry, buckets=metric.buckets)
        kind = Counter if metric.kind is Kind.COUNTER else Gauge
        return kind(metric.name, metric.help, labels, registry=self._registry)

    def add(self, metric: Metric, amount: float = 1.0, **labels: str) -> None:
        """Let a counter grow."""
        counter = self._of(metric, labels)
        assert isinstance(counter, Counter)  # noqa: S101 - the table says so
        counter.inc(amount)

    def grown(self, metric: Metric, absolute: float, **labels: str) -> None:
        """Let a counter follow one that is kept elsewhere and stands at ``absolute``."""
        key = metric, tuple(labels.values())
        self.add(metric, max(0.0, absolute - self._absolute.get(key, 0.0)), **labels)
        self._absolute[key] = absolute

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Set a gauge."""
        gauge = self._of(metric, labels)
        assert isinstance(gauge, Gauge)  # noqa: S101 - the table says so
        gauge.set(value)

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Put a value into a histogram."""
        histogram = self._of(metric, labels)
        assert isinstance(histogram, Histogram)  # noqa: S101 - the table says so
        histogram.observe(value)

    def _of(self, metric: Metric, labels: Mapping[str, str]) -> Counter | Gauge | Histogram:
        return self._kept[metric].labels(program=self._program, **labels)

    def text(self) -> bytes:
        """Write all figures in Prometheus' text format, which a textfile collector reads."""
        return generate_latest(self._registry)

    def document(self, accept: str) -> tuple[str, bytes]:
        """Write all figures in the format that an Accept header asks for; return the type of the content, too."""
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self._registry)
