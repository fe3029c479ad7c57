"""How a reader waits for company when its worker takes much of a core."""

from __future__ import annotations

from optionstream.streams.engine.pace import CORE_SHARE, LONGEST_S, Pace


class Machine:
    """Time, and how much of it the process has had a processor."""

    def __init__(self) -> None:
        self.now, self.used = 100.0, 3.0
        self.pace = Pace(lambda: self.now, lambda: self.used)

    def run(self, seconds: float, share: float) -> float:
        """The pause after so long at such a share of a core, asked for every millisecond."""
        pause_s = 0.0
        for _ in range(round(seconds * 1_000)):
            self.now += 0.001
            self.used += 0.001 * share
            pause_s = self.pace.pause_s()
        return pause_s


def test_a_worker_with_little_to_do_does_not_wait() -> None:
    assert Machine().run(60.0, CORE_SHARE - 0.05) == 0.0


def test_a_worker_that_takes_more_waits_longer_and_never_longer_than_the_longest() -> None:
    machine = Machine()
    first, second = machine.run(1.0, 0.7), machine.run(1.0, 0.7)
    assert 0.0 < first < second < LONGEST_S
    assert machine.run(60.0, 1.0) == LONGEST_S


def test_the_pause_goes_when_there_is_less_to_do() -> None:
    machine = Machine()
    machine.run(60.0, 1.0)
    assert machine.run(5.0, 0.1) == 0.0


def test_it_settles_where_the_worker_takes_its_share() -> None:
    """Here each millisecond of a pause saves a twentieth of a core, of 0.7."""
    machine, pause_s = Machine(), 0.0
    for _ in range(200):
        pause_s = machine.run(0.1, 0.7 - 50.0 * pause_s)
    assert abs(0.7 - 50.0 * pause_s - CORE_SHARE) < 0.01
