"""What every StateStore must do. Subclass in a test module and give the ``store`` fixture."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, timedelta, timezone
from types import MappingProxyType

import pytest

from prometheus_ai.domain.errors import Conflict, NotFound
from prometheus_ai.domain.event import TreeHead
from prometheus_ai.domain.release import ReleasePhase
from prometheus_ai.domain.replica import ExitCause, ReplicaGoal
from prometheus_ai.domain.window import Window
from prometheus_ai.ports.state_store import StateStore, Writing
from prometheus_ai.testing.state_values import (
    NOW,
    make_backend,
    make_end,
    make_record,
    make_release,
    make_replica,
    make_state,
    make_token,
    make_window,
)


class _Stop(Exception):
    """Ends a change early."""


class StateStoreContract:
    """The promises of the port, one behaviour a test."""

    def test_a_new_store_is_empty(self, store: StateStore) -> None:
        with store.read() as view:
            assert view.backends() == []
            assert view.backend("digits") is None
            assert view.releases() == []
            assert view.release("digits", "v1") is None
            assert view.release_states() == []
            assert view.open_replicas() == []
            assert view.windows(NOW - timedelta(days=1)) == []
            assert view.table_generation() == 0
            assert view.tokens() == []
            assert view.audit_head() is None
            assert view.audit_records(0, 10) == []
            assert view.setting("x") is None

    def test_a_backend_comes_back_equal_with_the_next_revision(self, store: StateStore) -> None:
        backend = replace(make_backend(), stable="v1", wanted=(("v1", 9000), ("v2", 1000)))
        with store.write() as tx:
            written = tx.put_backend(backend)
        assert written == replace(backend, revision=1)
        with store.read() as view:
            assert view.backend("digits") == written

    def test_backends_come_sorted_by_name(self, store: StateStore) -> None:
        with store.write() as tx:
            for name in ("zebra", "ant", "cat"):
                tx.put_backend(make_backend(name))
        with store.read() as view:
            assert [backend.name for backend in view.backends()] == ["ant", "cat", "zebra"]

    def test_a_stale_backend_is_a_conflict(self, store: StateStore) -> None:
        with store.write() as tx:
            first = tx.put_backend(make_backend())
            second = tx.put_backend(replace(first, stable="v1"))
        with pytest.raises(Conflict, match="revision 2"), store.write() as tx:
            tx.put_backend(replace(first, stable="v2"))
        with store.read() as view:
            assert view.backend("digits") == second

    def test_inserting_an_existing_backend_is_a_conflict(self, store: StateStore) -> None:
        with store.write() as tx:
            tx.put_backend(make_backend())
            with pytest.raises(Conflict):
                tx.put_backend(make_backend())

    def test_updating_a_backend_that_is_gone_is_a_conflict(self, store: StateStore) -> None:
        with store.write() as tx, pytest.raises(Conflict):
            tx.put_backend(replace(make_backend(), revision=3))

    def test_a_change_that_raises_leaves_nothing(self, store: StateStore) -> None:
        self._store_digits(store)

        def change(tx: Writing) -> None:
            tx.put_backend(make_backend("other"))
            tx.next_replica_number("digits", "v1")
            tx.next_table_generation()
            tx.put_setting("x", "1")
            tx.append_audit(make_record(0), {(0, 0): b"n" * 32}, TreeHead(size=1, root_hash=b"r"))

        self._fail_after(store, change)
        with store.write() as tx:
            assert tx.backend("other") is None
            assert tx.next_replica_number("digits", "v1") == 1
            assert tx.next_table_generation() == 1
            assert tx.setting("x") is None
            assert tx.audit_head() is None
            assert tx.audit_records(0, 10) == []
            assert tx.audit_nodes([(0, 0)]) == {}

    def test_a_change_sees_itself(self, store: StateStore) -> None:
        with store.write() as tx:
            tx.put_backend(make_backend())
            tx.add_release(make_release())
            assert tx.backend("digits") is not None
            assert tx.release("digits", "v1") == make_release()

    def test_an_open_view_does_not_see_a_later_change(self, store: StateStore) -> None:
        with store.read() as view:
            assert view.backends() == []
            self._in_thread(lambda: self._store_digits(store))
            assert view.backends() == []
            assert view.releases() == []
        with store.read() as view:
            assert len(view.releases()) == 1

    def test_releases_come_oldest_first(self, store: StateStore) -> None:
        with store.write() as tx:
            for name in ("digits", "ants"):
                tx.put_backend(make_backend(name))
                for number in (2, 10, 1):
                    tx.add_release(make_release(name, number))
        with store.read() as view:
            assert [release.id for release in view.releases()] == [
                "ants/v1", "ants/v2", "ants/v10", "digits/v1", "digits/v2", "digits/v10",
            ]  # fmt: skip
            assert view.releases("digits") == [make_release(number=n) for n in (1, 2, 10)]

    def test_a_second_release_of_the_same_version_is_a_conflict(self, store: StateStore) -> None:
        self._store_digits(store)
        with pytest.raises(Conflict), store.write() as tx:
            tx.add_release(replace(make_release(), number=7))

    def test_a_second_release_of_the_same_number_is_a_conflict(self, store: StateStore) -> None:
        self._store_digits(store)
        with pytest.raises(Conflict), store.write() as tx:
            tx.add_release(replace(make_release(), version="other"))

    def test_a_release_needs_its_backend(self, store: StateStore) -> None:
        with pytest.raises(Conflict, match="does not exist"), store.write() as tx:
            tx.add_release(make_release("nobody"))

    def test_the_newest_release_with_a_digest_is_found(self, store: StateStore) -> None:
        with store.write() as tx:
            tx.put_backend(make_backend())
            for number in (1, 2, 3):
                tx.add_release(make_release(number=number, digest="sha256:" + "ab"[number == 3]))
        with store.read() as view:
            found = view.release_by_digest("digits", "sha256:a")
            assert found is not None
            assert found.version == "v2"
            assert view.release_by_digest("digits", "sha256:c") is None
            assert view.release_by_digest("other", "sha256:a") is None

    def test_a_rolled_back_release_is_not_remembered(self, store: StateStore) -> None:
        """A cache of immutable releases must not survive the change that made them."""
        with store.write() as tx:
            tx.put_backend(make_backend())

        def change(tx: Writing) -> None:
            tx.add_release(make_release())
            assert tx.releases("digits") == [make_release()]

        self._fail_after(store, change)
        other = replace(make_release(), created_by="bob")
        with store.write() as tx:
            tx.add_release(other)
        with store.read() as view:
            assert view.release("digits", "v1") == other

    def test_a_version_used_again_after_deletion_is_the_new_one(self, store: StateStore) -> None:
        self._store_digits(store)
        with store.read() as view:
            assert view.release("digits", "v1") == make_release()
        other = replace(make_release(), created_by="bob")
        with store.write() as tx:
            tx.delete_backend("digits")
            tx.put_backend(make_backend())
            tx.add_release(other)
        with store.read() as view:
            assert view.release("digits", "v1") == other

    def test_release_states_are_guarded_by_revision(self, store: StateStore) -> None:
        self._store_digits(store)
        with store.write() as tx:
            first = tx.put_release_state(make_state())
            second = tx.put_release_state(
                replace(first, phase=ReleasePhase.READY, unrouted_since=NOW, failure="none ✓")
            )
            assert second.revision == 2
            with pytest.raises(Conflict):
                tx.put_release_state(first)
            with pytest.raises(Conflict):
                tx.put_release_state(make_state())
        with store.read() as view:
            assert view.release_states() == [second]
            assert view.release_states("digits") == [second]
            assert view.release_states("other") == []

    def test_a_release_state_needs_its_release(self, store: StateStore) -> None:
        with pytest.raises(Conflict, match="does not exist"), store.write() as tx:
            tx.put_release_state(make_state())

    def test_replica_numbers_are_never_given_twice(self, store: StateStore) -> None:
        self._store_digits(store)
        with store.write() as tx:
            assert [tx.next_replica_number("digits", "v1") for _ in range(3)] == [1, 2, 3]
            assert tx.next_replica_number("digits", "v2") == 1
        with store.write() as tx:
            tx.delete_backend("digits")
            assert tx.next_replica_number("digits", "v1") == 4

    def test_a_replica_record_comes_back_equal(self, store: StateStore) -> None:
        self._store_digits(store)
        full = replace(
            make_replica(),
            goal=ReplicaGoal.GONE,
            ready_at=NOW + timedelta(seconds=1),
            drain_since=NOW + timedelta(seconds=2),
            ended_at=NOW + timedelta(seconds=3),
            reason="scaled down",
            stop_cause=ExitCause.STUCK,
            exit=make_end(NOW + timedelta(seconds=3)),
        )
        with store.write() as tx:
            tx.put_replica(make_replica())
            tx.put_replica(full)
            tx.put_replica(make_replica("digits-v1-2"))
        with store.read() as view:
            assert view.replica("digits-v1-1") == full
            assert view.replica("digits-v1-2") == make_replica("digits-v1-2")
            assert view.replica("digits-v1-3") is None

    def test_a_replica_needs_its_release(self, store: StateStore) -> None:
        with pytest.raises(Conflict, match="does not exist"), store.write() as tx:
            tx.put_replica(make_replica())

    def test_open_and_ended_replicas_are_told_apart(self, store: StateStore) -> None:
        self._store_digits(store)
        second = timedelta(seconds=1)
        with store.write() as tx:
            for number in (3, 1, 2):
                tx.put_replica(make_replica(f"open-{number}", created_s=number))
                at = NOW + number * second
                ended = replace(make_replica(f"ended-{number}"), ended_at=at, exit=make_end(at))
                tx.put_replica(ended)
        with store.read() as view:
            assert [r.id for r in view.open_replicas()] == ["open-1", "open-2", "open-3"]
            assert len(view.open_replicas("digits")) == 3
            assert view.open_replicas("other") == []
            ended_ids = [r.id for r in view.ended_replicas(NOW + 2 * second)]
            assert ended_ids == ["ended-2", "ended-3"]
            assert view.ended_replicas(NOW, "other") == []
        with store.write() as tx:
            assert tx.forget_replicas(NOW + 3 * second) == 2
            assert [r.id for r in tx.ended_replicas(NOW)] == ["ended-3"]
            assert len(tx.open_replicas()) == 3

    def test_deleting_a_backend_takes_its_releases_and_keeps_the_rest(
        self, store: StateStore
    ) -> None:
        self._store_digits(store)
        with store.write() as tx:
            tx.put_release_state(make_state())
            tx.put_replica(replace(make_replica(), ended_at=NOW))
            tx.add_windows([make_window()])
            tx.put_backend(make_backend("other"))
        with store.write() as tx:
            tx.delete_backend("digits")
        with store.read() as view:
            assert [backend.name for backend in view.backends()] == ["other"]
            assert view.releases() == []
            assert view.release_states() == []
            assert view.ended_replicas(NOW - timedelta(days=1)) == []
            assert view.windows(NOW - timedelta(days=1)) == [make_window()]

    def test_a_backend_with_open_replicas_is_not_deleted(self, store: StateStore) -> None:
        self._store_digits(store)
        with store.write() as tx:
            tx.put_replica(make_replica())
        with pytest.raises(Conflict, match="open replicas"), store.write() as tx:
            tx.delete_backend("digits")

    def test_deleting_an_unknown_backend_is_not_found(self, store: StateStore) -> None:
        with pytest.raises(NotFound), store.write() as tx:
            tx.delete_backend("digits")

    def test_windows_come_back_equal_and_oldest_first(self, store: StateStore) -> None:
        windows = [make_window(index, version) for index in range(3) for version in ("v1", "v2")]
        with store.write() as tx:
            tx.add_windows(windows[::-1])
            tx.add_windows([])
        with store.read() as view:
            assert view.windows(make_window(0).start) == windows
            assert view.windows(make_window(0).end) == windows[2:]
            between = view.windows(make_window(0).start, until=make_window(1).end)
            assert between == windows[:4]
            assert view.windows(NOW - timedelta(days=1), "other") == []
            assert view.windows(make_window(1).end, "digits") == windows[4:]

    def test_compaction_keeps_every_count(self, store: StateStore) -> None:
        windows = [make_window(index, version) for index in range(60) for version in ("v1", "v2")]
        with store.write() as tx:
            tx.add_windows(windows)
            gone = tx.compact_windows(make_window(45).start, 60)
        assert gone == 58  # the one full minute before: 30 windows of each release became one
        with store.read() as view:
            found = view.windows(NOW - timedelta(days=1))
        assert len(found) == 62
        merged = next(window for window in found if window.version == "v1")
        assert (merged.start, merged.end) == (make_window(0).start, make_window(29).end)
        assert self._total(found) == self._total(windows)

    def test_compaction_again_changes_nothing_until_more_is_due(self, store: StateStore) -> None:
        with store.write() as tx:
            tx.add_windows([make_window(index) for index in range(60)])
            tx.compact_windows(make_window(60).start, 60)
            before = tx.windows(NOW - timedelta(days=1))
            assert tx.compact_windows(make_window(60).start, 60) == 0
            assert tx.windows(NOW - timedelta(days=1)) == before
            assert tx.compact_windows(make_window(3600).start, 3600) == 1

    def test_a_late_window_joins_its_span(self, store: StateStore) -> None:
        windows = [make_window(index) for index in range(30)]
        with store.write() as tx:
            tx.add_windows(windows[1:])
            tx.compact_windows(make_window(30).start, 60)
            tx.add_windows(windows[:1])
            assert tx.compact_windows(make_window(30).start, 60) == 1
            assert self._total(tx.windows(NOW - timedelta(days=1))) == self._total(windows)

    def test_old_windows_are_forgotten(self, store: StateStore) -> None:
        with store.write() as tx:
            tx.add_windows([make_window(index) for index in range(4)])
            assert tx.forget_windows(make_window(2).start) == 1
            assert tx.windows(NOW - timedelta(days=1)) == [make_window(i) for i in (1, 2, 3)]

    def test_the_table_generation_only_grows(self, store: StateStore) -> None:
        with store.write() as tx:
            assert [tx.next_table_generation() for _ in range(3)] == [1, 2, 3]
        with store.read() as view:
            assert view.table_generation() == 3

    def test_tokens_are_found_by_their_hash(self, store: StateStore) -> None:
        revoked = replace(make_token("t2", b"x" * 32), revoked_at=NOW)
        with store.write() as tx:
            tx.put_token(make_token())
            tx.put_token(replace(revoked, revoked_at=None))
            tx.put_token(revoked)
        with store.read() as view:
            assert view.token_by_hash(b"h" * 32) == make_token()
            assert view.token_by_hash(b"x" * 32) == revoked
            assert view.token_by_hash(b"y" * 32) is None
            assert view.tokens() == [make_token(), revoked]

    def test_two_tokens_never_share_a_secret(self, store: StateStore) -> None:
        with store.write() as tx:
            tx.put_token(make_token())
            with pytest.raises(Conflict):
                tx.put_token(make_token("t2"))

    def test_audit_records_come_back_in_order(self, store: StateStore) -> None:
        self._append(store, ["digits", None, "other", "digits"])
        records = [make_record(i, b) for i, b in enumerate(["digits", None, "other", "digits"])]
        with store.read() as view:
            assert view.audit_head() == TreeHead(size=4, root_hash=bytes([4]) * 32)
            assert view.audit_records(0, 10) == records
            assert view.audit_records(1, 2) == records[1:3]
            assert view.audit_records(0, 10, "digits") == [records[0], records[3]]
            assert view.latest_audit_records(2) == records[2:]
            assert view.latest_audit_records(1, "digits") == records[3:]
            assert view.latest_audit_records(0) == []
        assert list(store.iterate_audit(batch=3)) == records

    def test_a_change_sees_the_audit_records_it_appended(self, store: StateStore) -> None:
        with store.write() as tx:
            tx.append_audit(make_record(0), {(0, 0): b"n" * 32}, TreeHead(size=1, root_hash=b"r"))
            assert tx.audit_head() == TreeHead(size=1, root_hash=b"r")
            assert tx.audit_nodes([(0, 0), (1, 0)]) == {(0, 0): b"n" * 32}
            assert tx.audit_records(0, 10) == [make_record(0)]
            assert tx.latest_audit_records(1) == [make_record(0)]
            assert tx.audit_nodes([(0, 0)]) == {(0, 0): b"n" * 32}

    def test_audit_records_have_no_gaps(self, store: StateStore) -> None:
        self._append(store, ["digits"])
        for index, size in ((0, 1), (2, 3), (1, 3)):
            with pytest.raises(Conflict), store.write() as tx:
                tx.append_audit(make_record(index), {}, TreeHead(size=size, root_hash=b"r"))
        with store.read() as view:
            assert len(view.audit_records(0, 10)) == 1

    def test_audit_nodes_are_found_by_level_and_index(self, store: StateStore) -> None:
        nodes = {
            (level, index): bytes([level, index]) * 16
            for level in range(8)
            for index in range(128 >> level)
        }
        with store.write() as tx:
            tx.append_audit(make_record(0), nodes, TreeHead(size=1, root_hash=b"r"))
        with store.read() as view:
            assert view.audit_nodes(list(nodes)) == nodes
            few = [(7, 0), (0, 127), (3, 4)]
            assert view.audit_nodes([*few, (9, 1)]) == {node_id: nodes[node_id] for node_id in few}
            assert view.audit_nodes([]) == {}

    def test_settings_are_kept(self, store: StateStore) -> None:
        with store.write() as tx:
            tx.put_setting("gate", "on")
            tx.put_setting("gate", "off")
        with store.read() as view:
            assert view.setting("gate") == "off"

    def test_times_come_back_in_utc(self, store: StateStore) -> None:
        abroad = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
        with store.write() as tx:
            written = tx.put_backend(replace(make_backend(), created_at=abroad))
        assert written.created_at.tzinfo is UTC
        with store.read() as view:
            found = view.backend("digits")
            assert found is not None
            assert found.created_at == NOW
            assert found.created_at.tzinfo is UTC

    def test_a_time_without_a_zone_is_refused(self, store: StateStore) -> None:
        naive = replace(make_backend(), created_at=NOW.replace(tzinfo=None))
        with pytest.raises(ValueError, match="no time zone"), store.write() as tx:
            tx.put_backend(naive)

    def test_writers_on_many_threads_take_turns(self, store: StateStore) -> None:
        numbers: list[int] = []

        def count() -> None:
            for _ in range(10):
                with store.write() as tx:
                    numbers.append(tx.next_table_generation())

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert sorted(numbers) == list(range(1, 41))

    def test_a_change_inside_a_change_is_a_bug_and_says_so(self, store: StateStore) -> None:
        with store.write(), pytest.raises(RuntimeError, match="already open"), store.write():
            raise AssertionError

    def test_the_store_describes_itself(self, store: StateStore) -> None:
        described = store.describe()
        assert described["kind"]
        assert described["audit_records"] == 0

    def _store_digits(self, store: StateStore) -> None:
        with store.write() as tx:
            tx.put_backend(make_backend())
            tx.add_release(make_release())

    def _fail_after(self, store: StateStore, change: Callable[[Writing], None]) -> None:
        def run() -> None:
            with store.write() as tx:
                change(tx)
                raise _Stop

        with pytest.raises(_Stop):
            run()

    def _append(self, store: StateStore, backends: Sequence[str | None]) -> None:
        with store.write() as tx:
            for index, backend in enumerate(backends):
                head = TreeHead(size=index + 1, root_hash=bytes([index + 1]) * 32)
                node = MappingProxyType({(0, index): bytes([index]) * 32})
                tx.append_audit(make_record(index, backend), node, head)

    def _in_thread(self, action: Callable[[], None]) -> None:
        thread = threading.Thread(target=action)
        thread.start()
        thread.join(timeout=30)
        assert not thread.is_alive()

    def _total(self, windows: Sequence[Window]) -> list[tuple[str, int, dict[int, int]]]:
        merged: dict[str, Window] = {}
        for window in windows:
            known = merged.get(window.version)
            merged[window.version] = window if known is None else known.merge(window)
        return [
            (version, merged[version].requests, dict(merged[version].latency_s.buckets))
            for version in sorted(merged)
        ]
