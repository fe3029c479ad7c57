"""The command tree: groups of commands, and the root with its help."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import optionstream
from optionstream.deploy.cli import (
    audit,
    bars,
    demo,
    features,
    feed,
    groups,
    inspect,
    namespaces,
    rejects,
    replay,
    replay_control,
    serve,
    stack,
    surface,
    verify,
    worker,
)


class ReplayGroup(TyperGroup):
    """Read ``replay PATH…`` as ``replay run PATH…`` when PATH is no command of the group."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in (*self.commands, "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


def new_typer(
    cls: type[TyperGroup] = TyperGroup, no_args_is_help: bool = True, **options: str
) -> typer.Typer:
    """Return a group of commands with plain help, which loads fast."""
    return typer.Typer(
        **options,  # type: ignore[arg-type]
        cls=cls,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        no_args_is_help=no_args_is_help,
    )


_REPLAY_HELP = """\
Replay a source into its own namespace, and control it.

`optionstream replay PATH...` is short for `optionstream replay run PATH...`. Write ./list for a
file that is named like a command.

\b
Examples:
  optionstream replay session.jsonl.zst
  optionstream replay captures/ --namespace october --speed 60
  optionstream replay run --help
  optionstream replay pause october
"""

app = new_typer()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"optionstream {optionstream.__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; allowed anywhere.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Market data of Indian index options: feeds, Kafka, analytics, stores and API.

    \b
    The first minute:
      optionstream demo --once           every part once, on a simulated day
      optionstream inspect chain.json    put-call ratio and max pain of a file
      optionstream up --workers          servers and workers on this machine

    Settings are OPTIONSTREAM_* variables; see docs/cli.md.
    """


app.command("up")(stack.up)
app.command("status")(stack.status)
app.command("down")(stack.down)
app.command("logs")(stack.logs)

_feed = new_typer(help="Publish a feed into the live stream, or simulate one.")
_feed.command("simulated")(feed.simulated)
_feed.command("file")(feed.file)
app.add_typer(_feed, name="feed")

_replay = new_typer(cls=ReplayGroup, help=_REPLAY_HELP)
_replay.command("run")(replay.replay)
_replay.command("list")(replay_control.list_)
_replay.command("status")(replay_control.status)
_replay.command("pause")(replay_control.pause)
_replay.command("resume")(replay_control.resume)
_replay.command("step")(replay_control.step)
_replay.command("seek")(replay_control.seek)
_replay.command("speed")(replay_control.speed)
_replay.command("stop")(replay_control.stop)
_replay.command("drop")(replay_control.drop)
app.add_typer(_replay, name="replay")
app.command("worker")(worker.worker)
app.command("supervise", hidden=True)(worker.supervise)
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("inspect")(inspect.inspect)
app.command("bars")(bars.bars)
app.command("surface")(surface.surface)
app.command("verify")(verify.verify)

_groups = new_typer(no_args_is_help=False)
_groups.callback(invoke_without_command=True)(groups.show)
_groups.command("reset")(groups.reset)
app.add_typer(_groups, name="groups")

_rejects = new_typer(help="List refused records, show one, or send them again.")
_rejects.command("list")(rejects.list_)
_rejects.command("show")(rejects.show)
_rejects.command("redrive")(rejects.redrive)
app.add_typer(_rejects, name="rejects")

_namespaces = new_typer(help="List namespaces, or drop some.")
_namespaces.command("list")(namespaces.list_)
_namespaces.command("drop")(namespaces.drop)
app.add_typer(_namespaces, name="namespaces")

_audit = new_typer(help="Verify or prune the archive of all input.")
_audit.command("verify")(audit.verify)
_audit.command("prune")(audit.prune)
app.add_typer(_audit, name="audit")

_features = new_typer(help="Export bars joined with chains, as rows for learning.")
_features.command("export")(features.export)
_features.command("columns")(features.columns)
app.add_typer(_features, name="features")
