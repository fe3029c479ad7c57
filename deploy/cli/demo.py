"""``demo``: every part of the product, on a simulated day."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optionstream.deploy.cli import bars, context, output, verify
from optionstream.deploy.cli.feed import session_file
from optionstream.deploy.cli.options import SIMULATED_DATE, JsonOption
from optionstream.deploy.cli.replay import print_result
from optionstream.schemas.settings import Settings

if TYPE_CHECKING:
    from optionstream.deploy.demo import ApiProcess
    from optionstream.deploy.replays.progress import ReplayResult
    from optionstream.deploy.stack import Addresses


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End by itself and remove everything it created.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run every part once, on a simulated day.

    Starts the servers, replays a full day of NIFTY and BANKNIFTY into namespace demo, verifies
    the results, and shows the last bars and put-call ratios from the API. Then serves the API
    until Ctrl-C.

    \b
    Examples:
      optionstream demo
      optionstream demo --once
    """
    from optionstream.deploy import demo as demos

    settings = context.settings()
    with ExitStack() as stack:
        servers = stack.enter_context(demos.servers(settings, False, output.note))
        stack.enter_context(demos.fresh_namespace(servers, settings, not once, output.note))
        good = _day(servers, settings, as_json)
        api = stack.enter_context(demos.serve_api(servers, settings, demos.NAMESPACE))
        _show(api, as_json)
        if not once:
            _serve(api)
    if not good:
        raise typer.Exit(1)


def _day(servers: Addresses, settings: Settings, as_json: bool) -> bool:
    """Replay the day and verify it; return True if there was no difference."""
    from tempfile import TemporaryDirectory

    from optionstream.deploy import demo as demos

    with TemporaryDirectory(prefix="optionstream-demo-") as folder:
        path = Path(folder) / f"simulated-{SIMULATED_DATE}.jsonl.zst"
        output.note(f"simulating {', '.join(demos.PRODUCTS)} on {SIMULATED_DATE}")
        session_file(path, demos.simulation(SIMULATED_DATE))
        result = _replay(path, servers, settings, as_json)
    print_result(result, as_json)
    output.note("verifying: computing everything again from the raw input")
    report = verify.check(demos.NAMESPACE, servers, settings, as_json)
    if as_json:
        output.print_json(report.to_dict())
    else:
        verify.print_report(report)
    return report.ok


def _replay(path: Path, servers: Addresses, settings: Settings, as_json: bool) -> ReplayResult:
    from optionstream.deploy import demo as demos
    from optionstream.deploy.cli.drawing import watching
    from optionstream.deploy.replays import run as replays
    from optionstream.deploy.replays.sources.files import FileSource

    output.note(f"replaying it into namespace {demos.NAMESPACE.name}")
    plan = replays.ReplayPlan(FileSource([path]), demos.NAMESPACE)
    with watching(output.Failures(), as_json) as observer:
        return replays.replay(plan, servers, settings, observer)


def _show(api: ApiProcess, as_json: bool) -> None:
    from optionstream.deploy import demo as demos
    from optionstream.schemas.figures import SUMMARY

    found = demos.last_bars(api)
    if as_json:
        output.print_rows("", (), found, as_json)
    else:
        output.print_line("the last bars, from GET /api/data/ohlc/{product}?interval=15m\n")
        bars.print_bars(found)
    columns = ("product", "expiry", "timestamp", *SUMMARY, "oi_unit")
    ratios = "put-call ratios, from GET /api/data/pcr/{product}"
    output.print_rows(ratios, columns, demos.last_ratios(api), as_json)
    (output.note if as_json else output.print_line)(f"API documentation: {api.url}/docs")


def _serve(api: ApiProcess) -> None:
    """Serve until Ctrl-C."""
    output.note(f"serving at {api.url} until Ctrl-C")
    try:
        while True:
            api.check()
            time.sleep(0.5)
    except KeyboardInterrupt:
        output.note("stopping")
