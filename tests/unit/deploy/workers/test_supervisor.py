"""The supervisor, on real child processes of a few lines."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from optionstream.deploy.stack.processes import PidFile, ProcessId
from optionstream.deploy.workers.supervisor import (
    EventKind,
    RestartPolicy,
    Supervisor,
    WorkerEvent,
    WorkerSpec,
    WorkerState,
)
from optionstream.schemas.errors import UsageError

SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
CRASHER = "raise SystemExit(3)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('deaf', flush=True); time.sleep(60)"
)
FAST = RestartPolicy(backoff_s=0.01, cap_s=0.05, crash_limit=4, window_s=30.0, steady_s=60.0)

Make = Callable[..., Supervisor]


@pytest.fixture
def events() -> list[WorkerEvent]:
    return []


@pytest.fixture
def make(tmp_path: Path, events: list[WorkerEvent]) -> Iterator[Make]:
    made: list[Supervisor] = []

    def build(*codes: str, policy: RestartPolicy = FAST) -> Supervisor:
        specs = [worker(f"w{n}", code) for n, code in enumerate(codes)]
        made.append(Supervisor(specs, tmp_path, events.append, policy))
        return made[-1]

    yield build
    for supervisor in made:
        supervisor.stop(grace_s=0.2)


def worker(name: str, code: str) -> WorkerSpec:
    return WorkerSpec(name, [sys.executable, "-S", "-c", code])


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def pid_of(supervisor: Supervisor) -> int:
    pid = supervisor.status()[0].pid
    assert pid is not None
    return pid


def test_a_killed_worker_is_back_at_once(make: Make) -> None:
    supervisor = make(SLEEPER, policy=RestartPolicy(backoff_s=600.0, cap_s=600.0))
    supervisor.start()
    first = pid_of(supervisor)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: supervisor.status()[0].pid not in (first, None))  # long before a pause's end
    status = supervisor.status()[0]
    assert (status.state, status.restarts, status.last_returncode) == (WorkerState.RUNNING, 1, -9)


def test_a_crash_loop_is_given_up_and_reported(make: Make, events: list[WorkerEvent]) -> None:
    supervisor = make(CRASHER, SLEEPER)
    supervisor.start()
    wait_for(lambda: supervisor.status()[0].state is WorkerState.GIVEN_UP)
    last = [event for event in events if event.worker == "w0"][-1]
    assert last.kind is EventKind.GAVE_UP
    assert "code 3" in last.text
    assert "4 crashes" in last.text
    assert str(supervisor.status()[0].log) in last.text
    assert sum(e.kind is EventKind.STARTED and e.worker == "w0" for e in events) == 4
    assert supervisor.status()[1].state is WorkerState.RUNNING


def test_a_clean_exit_nobody_asked_for_is_restarted_too(make: Make) -> None:
    supervisor = make("pass")
    supervisor.start()
    wait_for(lambda: supervisor.status()[0].restarts >= 1)
    assert supervisor.status()[0].last_returncode == 0


def test_a_worker_that_lived_long_enough_is_never_given_up(make: Make) -> None:
    always_steady = RestartPolicy(crash_limit=2, window_s=60.0, steady_s=0.0)
    supervisor = make(SLEEPER, policy=always_steady)
    supervisor.start()
    for _ in range(5):
        pid = pid_of(supervisor)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda pid=pid: supervisor.status()[0].pid not in (pid, None))
    assert supervisor.status()[0].restarts == 5


def test_the_pause_doubles_up_to_its_cap_and_the_first_restart_has_none() -> None:
    policy = RestartPolicy(backoff_s=0.5, cap_s=3.0)
    assert [policy.delay_s(n) for n in range(7)] == [0.0, 0.0, 0.5, 1.0, 2.0, 3.0, 3.0]
    assert policy.delay_s(10_000) == 3.0


def test_stop_ends_all_workers_and_starts_none_again(make: Make, events: list[WorkerEvent]) -> None:
    supervisor = make(SLEEPER, SLEEPER)
    supervisor.start()
    pids = [status.pid for status in supervisor.status()]
    supervisor.stop()
    assert not any(psutil.pid_exists(pid) for pid in pids if pid)
    assert {s.state for s in supervisor.status()} == {WorkerState.STOPPED}
    assert [e.kind for e in events].count(EventKind.STARTED) == 2
    assert [e.kind for e in events].count(EventKind.STOPPED) == 2


def test_a_worker_deaf_to_sigterm_is_killed_after_the_grace(
    make: Make, events: list[WorkerEvent]
) -> None:
    supervisor = make(STUBBORN)
    supervisor.start()
    log = supervisor.status()[0].log
    wait_for(lambda: "deaf" in log.read_text())
    supervisor.stop(grace_s=0.2)
    assert events[-1].kind is EventKind.KILLED
    assert events[-1].returncode == -signal.SIGKILL


def test_a_worker_that_stands_still_is_killed_and_follows_itself_with_the_reason_told(
    make: Make, events: list[WorkerEvent]
) -> None:
    supervisor = make(STUBBORN, SLEEPER)
    supervisor.start()
    frozen, other = supervisor.status()[0].pid, supervisor.status()[1].pid
    assert frozen is not None
    os.kill(frozen, signal.SIGSTOP)
    supervisor.restart("w0", frozen, "stalled: no record for 60 s")
    wait_for(lambda: supervisor.status()[0].pid not in (frozen, None))
    killed = next(event for event in events if event.kind is EventKind.KILLED)
    assert (killed.worker, killed.pid) == ("w0", frozen)
    assert killed.text == "stalled: no record for 60 s; killed, will be restarted"
    heir = supervisor.status()[0].pid
    supervisor.restart("w0", frozen, "too late: it is another process now")
    time.sleep(0.1)
    assert [status.pid for status in supervisor.status()] == [heir, other]


def test_each_worker_writes_its_own_log_and_appends_to_it(make: Make, tmp_path: Path) -> None:
    supervisor = make("import sys; print('out'); print('err', file=sys.stderr)", SLEEPER)
    supervisor.start()
    wait_for(lambda: supervisor.status()[0].state is WorkerState.GIVEN_UP)
    text = (tmp_path / "w0.log").read_text()
    assert (text.count("out"), text.count("err")) == (4, 4)
    assert (tmp_path / "w1.log").read_text() in ("", "up\n")


def test_a_program_that_does_not_exist_is_given_up_not_raised(tmp_path: Path) -> None:
    spec = WorkerSpec("ghost", [str(tmp_path / "no-such-program")])
    with Supervisor([spec], tmp_path, policy=FAST) as supervisor:
        wait_for(lambda: supervisor.status()[0].state is WorkerState.GIVEN_UP)


def test_a_second_supervisor_of_the_same_folder_is_refused(make: Make) -> None:
    make(SLEEPER).start()
    with pytest.raises(UsageError, match=f"already, by pid {os.getpid()}"):
        make(SLEEPER).start()


def test_a_worker_left_over_from_a_killed_supervisor_is_stopped_first(
    make: Make, tmp_path: Path
) -> None:
    orphan = psutil.Popen([sys.executable, "-S", "-c", SLEEPER])
    PidFile(tmp_path / "w0.pid").write(ProcessId.of(orphan.pid))
    supervisor = make(SLEEPER)
    supervisor.start()
    assert not psutil.pid_exists(orphan.pid)
    assert pid_of(supervisor) != orphan.pid


def test_a_reused_pid_in_a_pid_file_is_left_alone(make: Make, tmp_path: Path) -> None:
    stranger = psutil.Popen([sys.executable, "-S", "-c", SLEEPER])
    try:
        reused = ProcessId(stranger.pid, stranger.create_time() - 3600)
        PidFile(tmp_path / "w0.pid").write(reused)
        make(SLEEPER).start()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_two_workers_may_not_share_a_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="share a name"):
        Supervisor([worker("a", SLEEPER), worker("a", SLEEPER)], tmp_path)
