"""When faults fire: probability, count, nth, window, removal, the log and its hash, the control routes."""

from polystra.exchange.faults.injector import Injector, Occasion
from polystra.exchange.faults.plan import read_plan
from tests.unit.exchange.http_desk import HandClock
from tests.unit.exchange.running import Running, play

ANY: Occasion = {"path": ("/order",)}


def injector(*entries: dict[str, object], seed: int = 3) -> tuple[Injector, HandClock]:
    clock = HandClock()
    made = Injector(clock, seed=seed, start_ns=clock.now)
    for entry in entries:
        made.add(read_plan(entry, "entry"))
    return made, clock


def hits(made: Injector, times: int) -> int:
    return sum(made.fires("after", ANY) is not None for _ in range(times))


def test_a_probability_is_met_and_seeded() -> None:
    entry: dict[str, object] = {"fault": "reply_dropped", "probability": 0.3}
    made, _ = injector(entry)
    assert 250 < hits(made, 1_000) < 350
    again, _ = injector(entry)
    other, _ = injector(entry, seed=4)
    hits(again, 1_000)
    hits(other, 1_000)
    assert made.digest == again.digest
    assert made.digest != other.digest
    assert made.injected == len(made.log)


def test_count_and_nth() -> None:
    made, _ = injector({"fault": "reply_dropped", "count": 2})
    assert hits(made, 10) == 2
    made, _ = injector({"fault": "reply_dropped", "nth": 4})
    assert [made.fires("after", ANY) is not None for _ in range(6)] == [False, False, False, True, False, False]


def test_a_window_counts_from_the_start() -> None:
    made, clock = injector({"fault": "reply_dropped", "from": 10, "until": 20})
    found = []
    for _ in range(5):
        found.append(hits(made, 1))
        clock.now += 5_000_000_000
    assert found == [0, 0, 1, 1, 0]


def test_the_first_that_fires_wins_and_a_removed_one_is_gone() -> None:
    made, _ = injector({"fault": "reply_dropped", "count": 1}, {"fault": "empty_body"})
    plans = [made.fires("after", ANY) for _ in range(2)]
    assert [plan.kind for plan in plans if plan] == ["reply_dropped", "empty_body"]
    assert [entry.id for entry in made.log] == ["f1.1", "f2.1"]
    assert made.remove("f2")
    assert not made.remove("f2")
    assert made.fires("after", ANY) is None


def test_a_lasting_fault_stays_for_its_time_on_its_subject() -> None:
    made, clock = injector({"fault": "stream_silent", "count": 1, "with": {"for": 10}})
    assert made.lasting("connection", "user#1", {})
    assert not made.lasting("connection", "user#2", {})
    clock.now += 9_000_000_000
    assert made.lasting("connection", "user#1", {})
    assert made.is_on("stream_silent", "user#1")
    clock.now += 1_000_000_000
    assert not made.lasting("connection", "user#1", {})
    assert made.injected == 1


def test_control_adds_lists_and_removes() -> None:
    async def scene(stage: Running) -> None:
        url = f"{stage.urls.control_url}/faults"
        entry = {"fault": "http_error", "with": {"status": 503}, "where": {"path": "/time"}, "note": "a test"}
        assert await stage.post(url, entry) == {"id": "f1"}
        await stage.get(f"{stage.urls.clob_url}/time", status=503)
        (shown,) = (await stage.get(url))["faults"]
        assert (shown["id"], shown["hits"], shown["seen"], shown["note"]) == ("f1", 1, 1, "a test")
        log = await stage.get(f"{url}/log")
        assert log["injected"] == 1
        assert log["log"][0]["id"] == "f1.1"
        assert log["log"][0]["what"] == "method=GET path=/time"
        assert log["hash"] == stage.exchange.faults.injector.digest
        async with stage.session.delete(f"{url}/f1") as response:
            assert response.status == 200
        async with stage.session.delete(f"{url}/f1") as response:
            assert response.status == 404
        await stage.get(f"{stage.urls.clob_url}/time")
        wrongs: list[object] = [{"fault": "rain"}, [], {"fault": "http_error", "with": {"status": 200}}]
        for wrong in wrongs:
            assert "error" in await stage.post(url, wrong, status=400)

    play(scene)
