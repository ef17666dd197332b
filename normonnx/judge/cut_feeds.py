"""Feeds for models with nodes cut: what the original gives there is fed with the inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from normonnx.feeds.source import Feed, FeedSource
from normonnx.feeds.whole import Family

Complete = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""From the inputs of a model to those of the model with nodes cut."""


class CutFeeds:
    """The feeds of a model, completed.

    Args:
        complete: adds what is fed in the place of the nodes.
        source: what draws the feeds; None where they are given.
        feeds: those that are given.
        domains: what each input was taken to hold, by name.

    Attributes:
        is_given: whether the feeds are the user's.
    """

    def __init__(
        self,
        complete: Complete,
        *,
        source: FeedSource | None = None,
        feeds: Sequence[Feed] = (),
        domains: Mapping[str, str],
    ) -> None:
        self._complete = complete
        self._source = source
        self._feeds = feeds
        self.domains: Mapping[str, str] = domains
        self.is_given: bool = source is None

    def given(self) -> list[Feed]:
        """The user's feeds."""
        return [self.completed(feed) for feed in self._feeds]

    def decisive(self, draw: int) -> Feed:
        """As `FeedSource.decisive`."""
        return self.completed(self._drawn().decisive(draw))

    def stress(self, draw: int, family: Family) -> Feed:
        """As `FeedSource.stress`."""
        return self.completed(self._drawn().stress(draw, family))

    def _drawn(self) -> FeedSource:
        if self._source is None:
            raise LookupError("these feeds are the user's, no others are drawn")
        return self._source

    def completed(self, feed: Feed) -> Feed:
        """A feed of the whole model, with what is fed in the place of the nodes."""
        return replace(feed, inputs=self._complete(feed.inputs))
