"""The jars of the native Kafka broker: fetched once by Maven into the user's cache."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from optionstream.deploy.stack.native import Report, find_program
from optionstream.deploy.stack.processes import run_program
from optionstream.schemas.errors import PrerequisiteError, ServerUnavailable

KAFKA_VERSION = "4.3.1"
MIN_JAVA = 17

_POM = Path(__file__).with_name("kafka-pom.xml")
_FETCH_S = 900
_INSTALL_JAVA = (
    "install it (apt-get install openjdk-17-jre-headless maven) or start a Docker engine"
)


def find_java(env: Mapping[str, str]) -> Path:
    """Return the path of Java 17 or newer: from JAVA_HOME, else from the search path.

    Raises PrerequisiteError when there is none.
    """
    home = env.get("JAVA_HOME")
    inside = Path(home, "bin", "java") if home else None
    java = inside if inside and inside.is_file() else find_program("java", env)
    if java is None:
        raise PrerequisiteError(f"Java {MIN_JAVA} or newer not found: {_INSTALL_JAVA}")
    printed = run_program([str(java), "-version"], env, timeout_s=30).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', printed)
    if found is None or int(found[1]) < MIN_JAVA:
        version = found[1] if found else "of unknown version"
        raise PrerequisiteError(
            f"Java {MIN_JAVA} or newer needed, {java} is {version}: {_INSTALL_JAVA}"
        )
    return java


def kafka_jars(env: Mapping[str, str], report: Report) -> Path:
    """Return the folder with the broker's jars; fetch them when the cache lacks them.

    The folder appears whole or not at all, so that an interrupted fetch leaves no half cache.
    Raises PrerequisiteError without Maven, ServerUnavailable when the fetch fails.
    """
    base = env.get("XDG_CACHE_HOME") or os.path.join(env.get("HOME", "."), ".cache")
    mark = hashlib.sha256(_POM.read_bytes()).hexdigest()[:8]
    cache = Path(base).expanduser().resolve() / "optionstream"
    folder = cache / f"kafka-{KAFKA_VERSION}-{mark}"
    if folder.is_dir():
        return folder
    maven = find_program("mvn", env)
    if maven is None:
        raise PrerequisiteError(
            "Maven not found, needed once to fetch Apache Kafka: install it "
            "(apt-get install maven) or start a Docker engine"
        )
    report(f"fetching Apache Kafka {KAFKA_VERSION} (once)")
    cache.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="kafka-", suffix=".partial", dir=cache))
    try:
        _fetch(maven, work, env)
        try:
            (work / "jars").rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process fetched the same jars first
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _fetch(maven: Path, work: Path, env: Mapping[str, str]) -> None:
    shutil.copyfile(_POM, work / "pom.xml")
    arguments = ("--batch-mode", "--quiet", "--strict-checksums", f"--file={work / 'pom.xml'}")
    goal = ("dependency:copy-dependencies", "-DincludeScope=runtime")
    command = [str(maven), *arguments, *goal, f"-DoutputDirectory={work / 'jars'}"]
    try:
        ran = run_program(command, env, timeout_s=_FETCH_S)
    except subprocess.TimeoutExpired:
        raise ServerUnavailable(
            f"kafka: Maven did not fetch Apache Kafka {KAFKA_VERSION} within {_FETCH_S} s"
        ) from None
    if ran.returncode != 0:
        lines = [line for line in ran.stdout.splitlines() if line.startswith("[ERROR]")]
        why = lines[0].removeprefix("[ERROR]").strip() if lines else "Maven failed"
        raise ServerUnavailable(f"kafka: cannot fetch Apache Kafka {KAFKA_VERSION}: {why}")
