"""File feeds: files that hold market data, as market events. See docs/feeds.md."""

from optionstream.producers.feeds.feed import Feed, open_feed
from optionstream.producers.feeds.files.paths import expand_paths
from optionstream.producers.feeds.hints import FeedHints

__all__ = ["Feed", "FeedHints", "expand_paths", "open_feed"]
