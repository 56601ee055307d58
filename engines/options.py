"""The options of a stage that runs on an engine, the same for all stages."""

from dataclasses import dataclass

from engines.engine import Engine, EngineName, check_engine


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """Which processes do the work. None of it changes a result. Raises `UsageError` for values that make no sense."""

    engine: EngineName = "local"
    """What starts processes: local, on this machine; ray, on a Ray cluster."""
    address: str | None = None
    """The Ray cluster: HOST:PORT of its head node, or local to start one on this machine; None: RAY_ADDRESS, else the
    one that runs on this machine."""
    processes: int | None = None
    """How many processes at a time; None: with Ray, as many as the cluster has room for; else this one alone."""

    def __post_init__(self) -> None:
        check_engine(self.engine, self.address, self.processes)

    def open_engine(self) -> Engine | None:
        """The engine; None: this process does the work itself.

        Raises `UsageError` where Ray is not installed, or no cluster answers.
        """
        if self.engine == "ray":
            # Imported here: whoever does not use Ray need not have it.
            from engines.ray import RayEngine

            return RayEngine(self.address, self.processes)
        if self.processes is None:
            return None
        from engines.local import LocalEngine

        return LocalEngine(self.processes)
