"""The chain: whole when nobody touched it, and telling where somebody did."""

import asyncio

import pytest
from sqlalchemy import text

from pilothouse.audit import Action, AuditLog, Entry, Filters, Outcome
from pilothouse.audit.chain import GENESIS, Seals, chain_hash, load_key
from pilothouse.settings import SettingsError
from pilothouse.state import Lock, open_state


async def fill(audit, count=10):
    return [await audit.record(None, Action.LOGS_QUERY, object=f"query {n}") for n in range(count)]


async def tamper(state, *statements):
    async with state.write(Lock.AUDIT) as session:
        for statement in statements:
            await session.execute(text(statement))


async def test_an_untouched_chain_verifies(audit):
    """Every entry fits, and the report says how many there are."""
    assert await fill(audit) == list(range(1, 11))
    report = await audit.verify()
    assert (report.ok, report.entries, report.first_bad) == (True, 10, None)
    status = await audit.status()
    assert (status.ok, status.entries, status.head) == (True, 10, report.head)


async def test_an_empty_chain_verifies(audit):
    """A fresh installation has nothing to reproach itself with."""
    report = await audit.verify()
    assert (report.ok, report.entries) == (True, 0)
    assert (await audit.status()).ok


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "at + 1"), ("kind", "'user'"), ("actor", "'somebody'"), ("actor_id", "'u_1'"), ("session", "'s_1'"),
        ("address", "'10.0.0.1'"), ("action", "'logs.read'"), ("permission", "'logs:read'"), ("object", "'nothing'"),
        ("outcome", "'denied'"), ("details", "'[]'"),
    ],
)  # fmt: skip
async def test_a_changed_entry_is_named(audit, state, column, value):
    """Whichever of its fields was changed."""
    await fill(audit)
    await tamper(state, f"UPDATE audit_entries SET {column} = {value} WHERE id = 4")
    report = await audit.verify()
    assert (report.ok, report.first_bad, report.entries) == (False, 4, 3)
    assert "contents" in report.reason


def test_every_field_of_an_entry_is_in_the_test_above():
    """A field that is added is hashed, and must be tampered with here too."""
    marks = test_a_changed_entry_is_named.pytestmark
    columns = {case[0] for mark in marks if mark.name == "parametrize" for case in mark.args[1]}
    assert columns | {"id"} == set(Entry.__slots__)


async def test_a_deleted_entry_is_named(audit, state):
    """The one that is missing, not the one after it."""
    await fill(audit)
    await tamper(state, "DELETE FROM audit_entries WHERE id = 6")
    report = await audit.verify()
    assert (report.ok, report.first_bad) == (False, 6)
    assert "deleted" in report.reason
    assert not (await audit.status()).ok


async def test_the_first_entry_deleted_is_named(audit, state):
    """The beginning is a place like any other."""
    await fill(audit)
    await tamper(state, "DELETE FROM audit_entries WHERE id = 1")
    assert (await audit.verify()).first_bad == 1


async def test_two_entries_that_changed_places_are_named(audit, state):
    """The first of the two no longer fits where it stands."""
    await fill(audit)
    await tamper(
        state,
        "UPDATE audit_entries SET id = -1 WHERE id = 3",
        "UPDATE audit_entries SET id = 3 WHERE id = 7",
        "UPDATE audit_entries SET id = 7 WHERE id = -1",
    )
    assert (await audit.verify()).first_bad == 3


async def test_an_entry_put_in_is_named(audit, state):
    """An entry that Pilothouse did not write has no place in the chain."""
    await fill(audit)
    await tamper(
        state,
        "UPDATE audit_entries SET id = id + 100 WHERE id > 5",
        "INSERT INTO audit_entries SELECT 6, at, kind, actor, actor_id, session, address, action, permission, object,"
        " outcome, details, hash, seal FROM audit_entries WHERE id = 2",
        "UPDATE audit_entries SET id = id - 99 WHERE id > 100",
    )
    assert (await audit.verify()).first_bad == 6


@pytest.mark.parametrize("cut", [1, 5, 10])
async def test_a_chain_cut_short_is_found(audit, state, cut):
    """The sealed head remembers how long it was."""
    await fill(audit)
    await tamper(state, f"DELETE FROM audit_entries WHERE id > {10 - cut}")
    report = await audit.verify()
    assert (report.ok, report.first_bad) == (False, 11 - cut)
    assert "deleted from the end" in report.reason
    assert not (await audit.status()).ok


async def test_a_chain_cut_short_with_its_head_put_back_is_found(audit, state):
    """Without the key, a head that fits the shorter chain can't be made."""
    await fill(audit)
    await tamper(
        state,
        "DELETE FROM audit_entries WHERE id > 7",
        "UPDATE audit_head SET last_id = 7, hash = (SELECT hash FROM audit_entries WHERE id = 7),"
        " seal = (SELECT seal FROM audit_entries WHERE id = 7)",
    )
    report = await audit.verify()
    assert (report.ok, report.first_bad) == (False, 8)


async def test_a_trail_emptied_as_a_whole_is_found(audit, state):
    """The place kept outside of the database says that there was one."""
    await fill(audit)
    await audit.close()
    await tamper(state, "DELETE FROM audit_entries", "DELETE FROM audit_head")
    report = await audit.verify()
    assert (report.ok, report.first_bad) == (False, 1)
    assert "older copy" in report.reason


async def test_an_older_copy_of_the_database_is_found(audit, state):
    """Entries and head of yesterday fit one another, but not the place that was noted since."""
    await fill(audit, 3)
    async with state.read() as session:
        old = (await session.execute(text("SELECT last_id, hash, seal FROM audit_head"))).one()
    await fill(audit, 5)
    await audit.close()
    async with state.write(Lock.AUDIT) as session:
        await session.execute(text("DELETE FROM audit_entries WHERE id > 3"))
        await session.execute(
            text("UPDATE audit_head SET last_id = :id, hash = :hash, seal = :seal"),
            {"id": old[0], "hash": old[1], "seal": old[2]},
        )
    report = await audit.verify()
    assert (report.ok, report.first_bad) == (False, 4)


async def test_a_chain_made_anew_without_the_key_is_found(audit, state):
    """Whoever can write to the database can hash, but not seal: the entry they changed is named all the same."""
    await fill(audit)
    async with state.write(Lock.AUDIT) as session:
        rows = (await session.execute(text("SELECT * FROM audit_entries ORDER BY id"))).mappings().all()
        previous = GENESIS
        for row in rows:
            values = {name: row[name] for name in Entry.__slots__}
            if row["id"] == 5:
                values["actor"] = "somebody else"
            previous = chain_hash(Entry(**values), previous)
            await session.execute(
                text("UPDATE audit_entries SET actor = :actor, hash = :hash WHERE id = :id"),
                {"actor": values["actor"], "hash": previous, "id": row["id"]},
            )
        await session.execute(text("UPDATE audit_head SET hash = :hash"), {"hash": previous})
    report = await audit.verify()
    assert (report.ok, report.first_bad) == (False, 5)
    assert "seal" in report.reason


async def test_all_processes_write_one_chain(audit, settings, state):
    """Two logs over two engines, a hundred tasks each: no number twice, none left out, the chain whole."""
    other_state = open_state(settings)
    other = AuditLog(other_state, settings)
    ids = await asyncio.gather(
        *(log.record(None, Action.LOGS_READ, object=str(n)) for n in range(100) for log in (audit, other))
    )
    assert sorted(ids) == list(range(1, 201))
    assert (await audit.verify()).ok
    await other.close()
    await other_state.close()


async def test_an_entry_is_committed_when_record_returns(audit, settings):
    """Another connection sees it at once."""
    await audit.record(None, Action.AUTH_LOGIN, actor="me", outcome=Outcome.DENIED)
    other = open_state(settings)
    page = await AuditLog(other, settings).query(Filters(actor="me"))
    assert [entry.action for entry, _ in page.entries] == ["auth.login"]
    await other.close()


async def test_verification_tells_how_far_it_is(audit):
    """Progress ends at the whole."""
    await fill(audit, 5)
    steps = []
    await audit.verify(lambda done, total: steps.append((done, total)))
    assert steps[-1] == (5, 5)


async def test_the_running_check_reads_only_what_is_new(audit, state):
    """It goes on where it left off; the whole is read again by verify, and once something was wrong."""
    await fill(audit, 5)
    assert (await audit.check()).report.entries == 5
    await fill(audit, 3)
    await tamper(state, "UPDATE audit_entries SET object = 'x' WHERE id = 7")
    assert (await audit.check()).report.first_bad == 7
    await tamper(state, "UPDATE audit_entries SET object = 'x' WHERE id = 2")
    assert (await audit.check()).report.first_bad == 2


def test_the_hash_is_that_of_the_canonical_entry_and_the_one_before():
    """The form is fixed: other programs can check it. Changing it makes every trail there is invalid."""
    entry = Entry(
        id=1, at=2, kind="user", actor="a", actor_id="u", session="s", address="::1", action="logs.read",
        permission="logs:read", object="ö", outcome="ok", details='{"n":1}',
    )  # fmt: skip
    assert (
        entry.canonical()
        == (
            '{"action":"logs.read","actor":"a","actor_id":"u","address":"::1","at":2,"details":"{\\"n\\":1}","id":1,'
            '"kind":"user","object":"ö","outcome":"ok","permission":"logs:read","session":"s"}'
        ).encode()
    )
    assert chain_hash(entry, GENESIS).hex() == "0ada2b5aaec8c9e5db04c1dbb92742506df585daeca015ae5877e8701d6212f4"
    assert Seals(b"k" * 32).entry(GENESIS) != Seals(b"k" * 32).head(0, GENESIS)


def test_the_key_is_ours_alone(tmp_path):
    """Made once, 0600; one that others can read, or that is cut, is refused by name."""
    path = tmp_path / "keys" / "audit.key"
    key = load_key(path)
    assert load_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        load_key(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(SettingsError, match="32 bytes"):
        load_key(path)
