"""ClawChat as a peer among others."""

from __future__ import annotations

from lab.bench.figures import Sample
from lab.bench.peers.base import LISTEN, Peer, Plan, measure_ends, package_version
from lab.bench.stage import Stage


class ClawChat(Peer):
    """One session, with or without the kernel's batch calls; messages travel on a stream or as datagrams."""

    def __init__(self, name: str, what: str, *options: str, bulk: bool = True) -> None:
        self.name = name
        self.what = what
        self._options = options
        self._bulk = bulk

    def version(self) -> str | None:
        """Return ClawChat's version."""
        return package_version("clawchat")

    def measure(self, stage: Stage, plan: Plan) -> Sample:
        """Take every figure, or all but the flow."""
        stage.start_end(stage.server, "clawchat", "server", *LISTEN, *self._options)
        client = stage.start_end(stage.client, "clawchat", "client", *LISTEN, *self._options)
        return measure_ends(stage, plan, client, bulk=self._bulk)
