"""Nothing of one namespace carries a name of another's: a drop cannot reach beyond its own."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from optionstream.deploy.namespaces.catalogue import droppable
from optionstream.deploy.namespaces.topics import namespaces_in, topics_of
from optionstream.schemas.errors import NamespaceError
from optionstream.schemas.topics import ALL_TOPICS, GROUPS, LIVE, SIM, Namespace

names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)
others = st.one_of(st.sampled_from([LIVE, SIM, "market", "analytics", "replay", "state"]), names)


def topics(name: str) -> set[str]:
    return {Namespace(name).topic(part) for part in ALL_TOPICS}


@given(names, others)
def test_what_a_drop_removes_is_the_replays_own(name: str, other: str) -> None:
    assume(name != other and name not in (LIVE, SIM))
    mine, theirs = droppable(name), Namespace(other)
    there = topics(name) | topics(other)
    assert set(topics_of(mine, there)) == topics(name)
    assert not topics(name) & topics(other)
    assert namespaces_in(there).keys() == {name, other}
    assert not {mine.group(one) for one in GROUPS} & {theirs.group(one) for one in GROUPS}
    assert mine.mongo_db != theirs.mongo_db
    prefix = mine.redis("")
    assert not theirs.redis("latest:underlying:NIFTY").startswith(prefix)
    assert not set(prefix) & set("*?[]\\")


@pytest.mark.parametrize(
    "name",
    [LIVE, SIM, "", "Live", "a*", "a.b", "a:b", "-a", "a/b", "../x", "optionstream_x", "a\n"],
)
def test_live_and_names_with_other_marks_are_never_dropped(name: str) -> None:
    with pytest.raises(NamespaceError):
        droppable(name)
