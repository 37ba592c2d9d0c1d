"""redis-py works through respgate as on Redis: every kind of use, over TCP and Unix sockets, one and two workers."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from harness import wait_until
from redis.exceptions import LockError, LockNotOwnedError, NoScriptError, ResponseError, WatchError
from ways import application  # noqa: F401 (a fixture)

pytestmark = pytest.mark.threads


def wait_for_command(client, command, count=1):
    """Wait until so many clients are busy with a command."""
    wait_until(lambda: sum(line["cmd"] == command for line in client.client_list()) >= count, 10,
               f"{count} clients in {command}")


def test_values_come_back_as_they_were(application):
    client, raw = application.connect(), application.connect(decode_responses=False)
    for size in (0, 1, 65535, 65536, 3_000_000):
        value = bytes(range(256)) * (size // 256) + b"\r\n"[: size % 256]
        raw.set("binary", value)
        assert raw.get("binary") == value
    client.hset("h", mapping={"a": 1, "ключ": "значение"})
    assert client.hgetall("h") == {"a": "1", "ключ": "значение"}
    client.zadd("z", {"a": 1, "b": 2.5})
    assert client.zrange("z", 0, -1, withscores=True) == [("a", 1.0), ("b", 2.5)]
    assert client.get("none") is None
    assert client.info("server")["redis_version"] == application.redis_server.call("INFO", "server").decode().split(
        "redis_version:")[1].split()[0]
    with pytest.raises(ResponseError, match="^WRONGTYPE"):
        client.incr("h")


def test_databases_are_apart(application):
    zero, three = application.connect(db=0), application.connect(db=3)
    zero.set("db", "zero")
    three.set("db", "three")
    assert (zero.get("db"), three.get("db")) == ("zero", "three")
    assert three.client_info()["db"] == 3


def test_plain_pipeline_keeps_its_order(application):
    client = application.connect()
    pipe = client.pipeline(transaction=False).rpush("list", "x")
    for _ in range(1000):
        pipe.incr("n")
    results = pipe.incr("list").echo("last").execute(raise_on_error=False)
    assert results[1:1001] == list(range(1, 1001))
    assert isinstance(results[1001], ResponseError) and results[1002] == "last"


def test_transactional_pipeline(application):
    client = application.connect()
    assert client.pipeline().set("t", 1).incr("t").get("t").execute() == [True, 2, "2"]
    failed = client.pipeline().lpush("t", 1).incr("t").execute(raise_on_error=False)
    assert isinstance(failed[0], ResponseError) and failed[1] == 3
    with pytest.raises(ResponseError, match="wrong number of arguments"):
        client.pipeline().incr("t").execute_command("SET", "t").execute()
    assert client.get("t") == "3"


def test_watch_aborts_when_another_client_writes(application):
    client, other = application.connect(), application.connect()
    client.set("w", 1)
    with client.pipeline() as pipe:
        pipe.watch("w")
        seen = int(pipe.get("w"))
        other.set("w", 10)
        pipe.multi()
        pipe.set("w", seen + 1)
        with pytest.raises(WatchError):
            pipe.execute()
    assert client.get("w") == "10"


def test_transaction_helper_under_contention(application):
    def add_many(_):
        client = application.connect()

        def add(pipe):
            value = int(pipe.get("sum") or 0)
            pipe.multi()
            pipe.set("sum", value + 1)

        for _ in range(20):
            client.transaction(add, "sum")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add_many, range(6)))
    assert application.connect().get("sum") == "120"


def test_pubsub_in_a_thread_with_patterns(application):
    client, heard = application.connect(), []
    pubsub = client.pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe(**{"news": heard.append})
    pubsub.psubscribe(**{"n*": heard.append})
    thread = pubsub.run_in_thread(sleep_time=0.05)
    wait_until(lambda: client.pubsub_numsub("news") == [("news", 1)] and client.pubsub_numpat() == 1, 10, "both")
    assert client.publish("news", "hello") == 2
    assert client.publish("other", "nobody") == 0
    wait_until(lambda: len(heard) == 2, 10, "two messages")
    thread.stop()
    thread.join(10)
    assert sorted((m["type"], m["channel"], m["data"]) for m in heard) == [
        ("message", "news", "hello"), ("pmessage", "news", "hello")]
    wait_until(lambda: client.pubsub_channels() == [], 10, "the subscription to end")


def test_pubsub_step_by_step(application):
    client, pubsub = application.connect(), application.connect(health_check_interval=1).pubsub()
    pubsub.subscribe("a", "b")
    counts = [pubsub.get_message(timeout=5) for _ in range(2)]
    assert [(m["type"], m["channel"], m["data"]) for m in counts] == [("subscribe", "a", 1), ("subscribe", "b", 2)]
    assert pubsub.get_message(timeout=0.01) is None
    pubsub.connection.next_health_check = 1
    pubsub.check_health()
    client.publish("b", "after the health check")
    message = wait_until(lambda: pubsub.get_message(timeout=0.1), 5, "the message")
    assert (message["channel"], message["data"]) == ("b", "after the health check")
    pubsub.unsubscribe()
    # What answers a health check is no message, and get_message gives None for it.
    ends = [wait_until(lambda: pubsub.get_message(timeout=1), 5, "a confirmation") for _ in range(2)]
    assert [m["data"] for m in ends] == [1, 0] and not pubsub.subscribed
    pubsub.close()


def test_locks(application):
    one, two = application.connect(), application.connect()
    mine, yours = one.lock("lock", timeout=10), two.lock("lock", timeout=10)
    assert mine.acquire(blocking=False) and not yours.acquire(blocking=False)
    assert mine.extend(20) and one.pttl("lock") > 20_000
    assert mine.reacquire() and one.pttl("lock") <= 10_000
    one.script_flush()
    mine.release()
    with pytest.raises(LockError):
        mine.release()
    assert yours.acquire(blocking_timeout=1)
    two.set("lock", "stolen")
    with pytest.raises(LockNotOwnedError):
        yours.release()


def test_lock_excludes_threads(application):
    inside, worst = [], []

    def critical(_):
        with application.connect().lock("mutex", timeout=10, sleep=0.002):
            inside.append(1)
            worst.append(len(inside))
            time.sleep(0.002)
            inside.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(critical, range(16)))
    assert worst == [1] * 16


def test_blocking_pops_take_each_job_once(application):
    client = application.connect()

    def take(_):
        return application.connect().blpop(["jobs", "more"], timeout=10)

    with ThreadPoolExecutor(10) as pool:
        taken = pool.map(take, range(10))
        wait_for_command(client, "blpop", 10)
        assert client.echo("nobody is held up") == "nobody is held up"
        client.rpush("jobs", *range(6))
        client.rpush("more", *range(6, 10))
        assert sorted(int(job) for _, job in taken) == list(range(10))
    assert client.blpop("jobs", timeout=0.05) is None
    client.rpush("from", "x")
    assert client.blmove("from", "to", 1, "LEFT", "RIGHT") == "x"
    assert client.brpoplpush("to", "from", 1) == "x"
    assert client.bzpopmin("empty", timeout=0.05) is None


def test_scripts_survive_script_flush(application):
    client = application.connect()
    add = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    assert add(["s"], [2]) == 2
    client.script_flush()
    assert add(["s"], [3]) == 5
    pipe = client.pipeline()
    add(["s"], [1], client=pipe)
    add(["s"], [1], client=pipe)
    client.script_flush()
    assert pipe.execute() == [6, 7]
    with pytest.raises(NoScriptError):
        client.evalsha("f" * 40, 0)
    assert client.eval("return {KEYS[1], ARGV[1], 3}", 1, "k", "a") == ["k", "a", 3]


def test_stream_with_a_consumer_group(application):
    reader, writer = application.connect(), application.connect()
    writer.xgroup_create("stream", "group", "$", mkstream=True)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(reader.xreadgroup, "group", "one", {"stream": ">"}, count=1, block=10_000)
        wait_for_command(writer, "xreadgroup")
        first = writer.xadd("stream", {"n": 1})
        assert reading.result(10) == [["stream", [(first, {"n": "1"})]]]
    second = writer.xadd("stream", {"n": 2})
    assert writer.xreadgroup("group", "two", {"stream": ">"}) == [["stream", [(second, {"n": "2"})]]]
    assert writer.xpending("stream", "group")["pending"] == 2
    assert reader.xack("stream", "group", first) == 1
    claimed = reader.xautoclaim("stream", "group", "one", min_idle_time=0)
    assert claimed[1] == [(second, {"n": "2"})]
    assert reader.xread({"stream": "$"}, block=10) == []


def test_scans_find_everything(application):
    client = application.connect(db=1)
    names = {f"scan:{n}" for n in range(2000)}
    client.mset(dict.fromkeys(names, "v"))
    assert set(client.scan_iter("scan:*", count=100)) == names
    client.hset("hash", mapping=dict.fromkeys(names, "v"))
    assert set(dict(client.hscan_iter("hash"))) == names
    client.sadd("set", *names)
    assert set(client.sscan_iter("set")) == names
    client.zadd("zset", dict.fromkeys(names, 1))
    assert {member for member, _ in client.zscan_iter("zset")} == names


def test_fifty_threads_on_few_backend_connections(application):
    client, together = application.connect(), threading.Barrier(50, timeout=20)

    def work(number):
        connection = application.connect_once()
        together.wait()
        for turn in range(40):
            tag = f"{number}:{turn}"
            assert connection.echo(tag) == tag
            connection.set(f"own:{number}", tag)
            assert connection.get(f"own:{number}") == tag
        together.wait()
        return number, application.backend_connections() if number == 0 else 0

    with ThreadPoolExecutor(50) as pool:
        results = dict(pool.map(work, range(50)))
    assert len(results) == 50 and 1 <= results[0] <= 4
    assert len(client.client_list()) >= 50


def test_one_pool_shared_by_threads(application):
    pool = redis.BlockingConnectionPool.from_url(application.url(), max_connections=5, timeout=20)
    with ThreadPoolExecutor(25) as threads:
        counts = list(threads.map(lambda _: redis.Redis(connection_pool=pool).incr("shared"), range(500)))
    assert sorted(counts) == list(range(1, 501))
    pool.disconnect()


def test_health_checks(application):
    client = application.connect_once(health_check_interval=1)
    for number in range(50):
        client.connection.next_health_check = 1
        assert client.incr("healthy") == number + 1
    assert client.connection.next_health_check > 1


def test_names_and_client_list(application):
    one, two = (application.connect_once(client_name=name) for name in ("one", "two"))
    assert (one.client_getname(), two.client_getname()) == ("one", "two")
    one.client_setname("other")
    names = {line["name"]: line["id"] for line in two.client_list()}
    assert names["other"] == str(one.client_id()) and names["two"] == str(two.client_id())
    assert one.client_id() != two.client_id()
    assert one.client_info()["name"] == "other"
    assert two.client_kill_filter(_id=one.client_id()) == 1
    wait_until(lambda: "other" not in {line["name"] for line in two.client_list()}, 10, "the killed client to go")


def test_worker_registration_as_rq_does_it(application):
    """A worker names itself, finds its own address in CLIENT LIST, waits for work and hears commands meanwhile."""
    worker, boss = application.connect_once(), application.connect()
    worker.client_setname("rq-worker-1")
    mine = [line for line in worker.client_list() if line["name"] == "rq-worker-1"]
    assert len(mine) == 1 and mine[0]["id"] == str(worker.client_id())
    if not application.unix_socket:
        host, port = worker.connection._sock.getsockname()  # noqa: SLF001 (redis-py does not tell otherwise)
        assert mine[0]["addr"] == f"{host}:{port}"
    worker.pipeline().hset("rq:worker:1", mapping={"birth": "now"}).expire("rq:worker:1", 60).sadd(
        "rq:workers", "rq-worker-1").execute()
    heard = []
    pubsub = application.connect().pubsub()
    pubsub.subscribe(**{"rq:pubsub:1": heard.append})
    thread = pubsub.run_in_thread(sleep_time=0.05, daemon=True)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(worker.blmove, "rq:queue", "rq:intermediate", 10, "RIGHT", "LEFT")
        wait_for_command(boss, "blmove")
        assert "rq-worker-1" in {line["name"] for line in boss.client_list() if line["cmd"] == "blmove"}
        wait_until(lambda: boss.publish("rq:pubsub:1", "stop") == 1, 10, "the worker to listen")
        boss.lpush("rq:queue", "job-1")
        assert job.result(10) == "job-1"
    wait_until(lambda: [m["data"] for m in heard if m["type"] == "message"] == ["stop"], 10, "the command")
    thread.stop()
    thread.join(10)
    worker.connection.disconnect()
    wait_until(lambda: "rq-worker-1" not in {line["name"] for line in boss.client_list()}, 10, "the worker to go")


def test_monitor(application):
    client = application.connect()
    with application.connect().monitor() as monitor:
        client.set("seen", "by the monitor")
        commands = (monitor.next_command()["command"] for _ in range(100))
        assert "SET seen by the monitor" in commands


def test_restart_of_the_backend(application):
    """Calls wait or fail by a name of their own while it is away; every client goes on by itself afterwards."""
    client, blocked = application.connect(), application.connect()
    pubsub = application.connect().pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe("news")
    assert pubsub.get_message(timeout=5) is None
    add = client.register_script("return redis.call('INCR', KEYS[1])")
    assert add(["n"]) == 1
    with ThreadPoolExecutor(1) as pool:
        popping = pool.submit(blocked.blpop, "jobs", 0)
        wait_for_command(client, "blpop")
        application.redis_server.restart()
        with pytest.raises((ResponseError, redis.ConnectionError), match="RGSTATE|closed"):
            popping.result(10)

    assert wait_until(lambda: recovers(lambda: add(["n"])), 10, "the script to run")
    client.rpush("jobs", "again")
    assert wait_until(lambda: recovers(lambda: blocked.blpop("jobs", 1)), 10, "the pop") == ("jobs", "again")
    wait_until(lambda: recovers(lambda: pubsub.get_message(timeout=0.05)) or client.publish("news", "back"), 10,
               "the subscription to be back")
    message = wait_until(lambda: recovers(lambda: pubsub.get_message(timeout=0.1)), 10, "a message")
    assert message["data"] == "back"
    pubsub.close()


def recovers(call):
    """The call's value, or None when it failed because the backend went away."""
    try:
        return call()
    except (redis.ConnectionError, ResponseError) as error:
        assert isinstance(error, redis.ConnectionError) or str(error).startswith(("RGUNKNOWN", "RGUNAVAIL", "RGSTATE"))
        return None


def test_traffic_across_a_restart(application):
    """Threads that never stop asking get the right reply or an error, and no thread stays without."""
    outcomes, stop = [], threading.Event()

    def ask(number):
        client = application.connect()
        for turn in range(1_000_000):
            tag = f"{number}:{turn}"
            reply = recovers(lambda tag=tag: client.echo(tag))
            assert reply in (tag, None)
            outcomes.append((number, reply))
            if stop.is_set():
                return

    def all_answered(since):
        return {number for number, reply in outcomes[since:] if reply} == set(range(8))

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask, number) for number in range(8)]
        try:
            wait_until(lambda: all_answered(0), 20, "traffic")
            application.redis_server.restart()
            since = len(outcomes)
            wait_until(lambda: all_answered(since), 20, "traffic of all threads after the restart")
        finally:
            stop.set()
        for each in asking:
            each.result(20)
