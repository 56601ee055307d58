"""The status as metrics in the text format of Prometheus.

Names of generators are no labels: a series for each of thousands would be more than Prometheus is made for.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from samplers.status.run import RunStatus


def metrics_text(status: RunStatus, accept: str) -> tuple[bytes, str]:
    """The metrics, and their media type; `accept`: the header of the request, which names the forms it takes."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(status))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


class _Collector:
    def __init__(self, status: RunStatus) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """All metrics; values that are not known have none."""
        status = self._status
        states = {"done": status.done, "exhausted": status.exhausted, "failed": status.failed, "left": status.left}
        yield _by("cf_generators", "Generators by state.", "state", states)
        ends = {end: count for end, count in status.ends.items() if end not in ("done", "exhausted")}
        yield _by("cf_failed_generators", "Failed generators by outcome and reason.", "outcome", ends)
        yield _one("cf_images", "Images kept, of all generators.", status.images)
        yield _one("cf_images_per_second", "Images kept a second, in the last ten minutes.", status.recently)
        yield _one("cf_left_seconds", "Until the last shard at work is finished.", status.seconds_left)
        yield _one("cf_damaged_generators", "Generators with a file that cannot be read.", len(status.damaged))
        yield _by("cf_phase_seconds", "Seconds of ended generators by phase.", "phase", dict(status.time.phases))
        yield _one("cf_duty_ratio", "Share of the wall time in which the devices worked.", status.time.duty)
        yield _one("cf_shards_not_started", "Shards that never started.", len(status.not_started))
        state = GaugeMetricFamily("cf_shard_state", "State of a shard: 1.", labels=("shard", "state"))
        for shard in status.shards:
            state.add_metric((shard.shard, shard.state), 1)
        yield state
        shards = {shard.shard: shard for shard in status.shards}
        for name, help_text, values in (
            ("silent_seconds", "Seconds since its last event.", {name: one.heard for name, one in shards.items()}),
            ("images", "Images kept, in all its runs.", {name: one.images for name, one in shards.items()}),
            ("left_generators", "Generators left.", {name: one.left for name, one in shards.items()}),
            ("failed_generators", "Generators that failed.", {name: one.failed for name, one in shards.items()}),
            (
                "images_per_second",
                "Images kept a second, in the last ten minutes.",
                {name: one.recently for name, one in shards.items()},
            ),
            (
                "duty_ratio",
                "Share of its wall time in which its device worked.",
                {n: s.time.duty for n, s in shards.items()},
            ),
        ):
            yield _by(f"cf_shard_{name}", help_text, "shard", values)


def _one(name: str, help_text: str, value: float | None) -> Metric:
    family = GaugeMetricFamily(name, help_text)
    if value is not None:
        family.add_metric((), value)
    return family


def _by(
    name: str, help_text: str, label: str, values: "dict[str, float | None] | dict[str, float] | dict[str, int]"
) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=(label,))
    for value_of, value in values.items():
        if value is not None:
            family.add_metric((value_of,), value)
    return family
