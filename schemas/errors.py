"""The error tree. An error says what happened, to what, and what to do.

OptionstreamError
├── UsageError            the caller's fault: bad option, bad path (exit code 2)
│   ├── SettingsError     an OPTIONSTREAM_* variable
│   ├── InputError        a file that cannot be read; names it and why
│   ├── NamespaceError    a namespace that may not be used, or does not exist
│   └── ReplayRefused     a command that a replay cannot follow
├── RecordError           a record that breaks its schema; carries a stable reason
├── CalendarError         a date the calendar does not cover
├── PrerequisiteError     something missing on this machine (exit code 2)
├── ServerUnavailable     a server that does not answer; names it and its address
├── DeliveryError         Kafka did not take a record; names topic and key
└── ArchiveError          files of a sink (audit, features) that cannot be written, or are not
                          what was written
"""

from __future__ import annotations


class OptionstreamError(Exception):
    """Base of every error this package raises on purpose."""

    exit_code = 1


class UsageError(OptionstreamError):
    """A request that cannot be fulfilled; the text says what to use instead."""

    exit_code = 2


class SettingsError(UsageError):
    """An invalid setting in the environment."""


class InputError(UsageError):
    """A file or a body that cannot be read as market data.

    ``source`` names the input (path or topic), ``why`` says what is wrong with it.
    """

    def __init__(self, source: str, why: str) -> None:
        super().__init__(f"{source}: {why}")
        self.source = source
        self.why = why


class NamespaceError(UsageError):
    """A namespace name that is malformed, reserved or unknown."""


class ReplayRefused(UsageError):
    """A command that a replay cannot follow; the text says what to do instead."""


class RecordError(OptionstreamError):
    """A record that is rejected. ``reason`` is a key of ``schemas.rejects.MEANING``."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class CalendarError(OptionstreamError):
    """The market calendar does not cover the date."""


class PrerequisiteError(UsageError):
    """A program this machine lacks; the text says what to install."""


class ServerUnavailable(OptionstreamError):
    """A server did not answer in time; the text names it and its address."""


class DeliveryError(OptionstreamError):
    """Kafka refused or lost a record; the text names topic and key."""


class ArchiveError(OptionstreamError):
    """Files of a sink (audit, features) that cannot be written or read, or that are not what was
    written; names the place."""
