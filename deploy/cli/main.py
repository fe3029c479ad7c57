"""Entry point: run a command; every failure is one line on stderr and an exit code.

0 success · 1 the check failed, or a server did not answer · 2 usage or bad input ·
130 Ctrl-C · 143 SIGTERM
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import typer

from optionstream.deploy.cli import app as commands
from optionstream.schemas.errors import OptionstreamError
from optionstream.schemas.settings import Settings

INTERRUPTED = 130
TERMINATED = 143
_BROKEN_PIPE = 141
_DEBUG = "--debug"


class Terminated(KeyboardInterrupt):
    """Raised by SIGTERM, so that a command ends as in Ctrl-C."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    debug = _DEBUG in args
    args = [arg for arg in args if arg != _DEBUG]  # allowed anywhere
    stop = _StopSignals()
    try:
        code = commands.app(args=args, prog_name="optionstream", standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        return _leave_pipe()
    except Exception as error:
        return _explain(error, debug)
    finally:
        stop.restore()
    if code == INTERRUPTED:
        _say("stopped" if stop.terminated else "interrupted")
        return TERMINATED if stop.terminated else INTERRUPTED
    return int(code or 0)


class _StopSignals:
    """Make SIGTERM unwind a command as Ctrl-C does, until ``restore``."""

    def __init__(self) -> None:
        self.terminated = False
        try:
            self._before = signal.signal(signal.SIGTERM, self._on_term)
        except ValueError:  # not the main thread
            self._before = None

    def restore(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _on_term(self, signum: int, frame: FrameType | None) -> None:
        self.terminated = True
        raise Terminated


def _explain(error: Exception, debug: bool) -> int:
    if isinstance(error, OptionstreamError):
        if debug:
            traceback.print_exception(error)
        _say(f"error: {error}")
        return error.exit_code
    if isinstance(error, typer.Abort):
        return INTERRUPTED
    message = getattr(error, "format_message", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error, file=sys.stderr)
        return 2
    if callable(message):  # typer's complaint about options and arguments
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "optionstream"
        _say(f"error: {str(message()).rstrip('.')} (see `{where} --help`)")
        return 2
    return _unexpected(error, debug)


def _unexpected(error: Exception, debug: bool) -> int:
    name = type(error).__name__
    if debug:
        traceback.print_exception(error)
        _say(f"error: {name}: {error}")
    else:
        _say(f"error: {name}: {error} (traceback in {_keep_traceback(error)}, or with --debug)")
    return 1


def _keep_traceback(error: Exception) -> Path:
    import tempfile

    try:
        folder = Settings.from_env(os.environ).data_dir
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, OptionstreamError):
        folder = Path(tempfile.gettempdir())
    path = folder / "last-error.log"
    path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    return path


def _leave_pipe() -> int:
    """End silently when the reader of our output has closed it (``| head``)."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    return _BROKEN_PIPE


def _say(text: str) -> None:
    print(" ".join(text.split()), file=sys.stderr, flush=True)
