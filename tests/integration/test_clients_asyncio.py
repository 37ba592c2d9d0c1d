"""redis.asyncio works through respgate as on Redis: tasks, pipelines, pub/sub, locks, blocking pops, scripts."""

import asyncio

import pytest
import redis.asyncio
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError, WatchError
from ways import application  # noqa: F401 (a fixture)

pytestmark = pytest.mark.threads


def run(application, body, limit_s=60):
    """Run `body(connect)` in a loop of its own; every client that `connect()` made is closed at its end."""
    async def main():
        clients = []

        def connect(**options):
            clients.append(redis.asyncio.Redis.from_url(application.url(), decode_responses=True, **options))
            return clients[-1]

        try:
            return await asyncio.wait_for(body(connect), limit_s)
        finally:
            for client in clients:
                await client.close()
                await client.connection_pool.disconnect()

    return asyncio.run(main())


async def until(condition, limit_s=10):
    """Poll an async condition until it holds and return its value."""
    async def poll():
        while not (value := await condition()):
            await asyncio.sleep(0.005)
        return value

    return await asyncio.wait_for(poll(), limit_s)


async def is_busy_with(client, command):
    """Whether a client is in that command."""
    return any(line["cmd"] == command for line in await client.client_list())


def test_many_tasks_get_their_own_replies(application):
    async def body(connect):
        client = connect(max_connections=40)

        async def task(number):
            tag = f"tag:{number}"
            await client.set(f"key:{number % 40}", tag)
            return await client.echo(tag) == tag

        for start in range(0, 400, 40):
            assert all(await asyncio.gather(*(task(start + n) for n in range(40))))
        return await client.dbsize()

    assert run(application, body) == 40


def test_pipelines_and_transactions(application):
    async def body(connect):
        client, other = connect(), connect()
        pipe = client.pipeline(transaction=False)
        for _ in range(500):
            pipe.incr("n")
        assert await pipe.execute() == list(range(1, 501))
        assert await client.pipeline().set("t", 1).incr("t").get("t").execute() == [True, 2, "2"]
        failed = await client.pipeline().lpush("t", 1).incr("t").execute(raise_on_error=False)
        assert isinstance(failed[0], ResponseError) and failed[1] == 3
        async with client.pipeline() as watching:
            await watching.watch("t")
            await other.set("t", 10)
            watching.multi()
            watching.incr("t")
            with pytest.raises(WatchError):
                await watching.execute()
        await asyncio.gather(*(add_one(client) for _ in range(20)))
        return await client.get("sum")

    async def add_one(client):
        async def add(pipe):
            value = int(await pipe.get("sum") or 0)
            pipe.multi()
            pipe.set("sum", value + 1)

        await client.transaction(add, "sum")

    assert run(application, body) == "20"


def test_pubsub(application):
    async def body(connect):
        client, pubsub = connect(), connect().pubsub(ignore_subscribe_messages=True)
        await pubsub.subscribe("news")
        await pubsub.psubscribe("n*")

        async def hear():
            heard = []
            async for message in pubsub.listen():
                heard.append((message["type"], message["channel"], message["data"]))
                if len(heard) == 4:
                    return sorted(heard)

        hearing = asyncio.create_task(hear())
        await until(lambda: is_heard_by_two(client))
        assert await client.publish("news", "two") == 2
        heard = await hearing
        await pubsub.unsubscribe()
        await pubsub.punsubscribe()
        await pubsub.close()
        return heard

    async def is_heard_by_two(client):
        return await client.pubsub_numpat() == 1 and await client.publish("news", "one") == 2

    assert run(application, body) == [("message", "news", "one"), ("message", "news", "two"),
                                      ("pmessage", "news", "one"), ("pmessage", "news", "two")]


def test_blocking_pops(application):
    async def body(connect):
        client = connect()
        pops = [asyncio.create_task(client.blpop(f"list:{n % 2}", 10)) for n in range(20)]
        await until(lambda: is_busy_with(client, "blpop"))
        assert await client.echo("free") == "free"
        await client.rpush("list:0", *range(10))
        await client.rpush("list:1", *range(10, 20))
        taken = await asyncio.gather(*pops)
        assert await client.blpop("list:0", 0.05) is None
        return sorted(int(value) for _, value in taken)

    assert run(application, body) == list(range(20))


def test_cancelled_pop_takes_nothing(application):
    async def body(connect):
        client = connect()
        pop = asyncio.create_task(client.blpop("cancelled", 0))
        await until(lambda: is_busy_with(client, "blpop"))
        pop.cancel()
        await asyncio.gather(pop, return_exceptions=True)
        await client.connection_pool.disconnect()
        await until(lambda: nobody_pops(client))
        await client.rpush("cancelled", "kept")
        return await client.lpop("cancelled")

    async def nobody_pops(client):
        return not await is_busy_with(client, "blpop")

    assert run(application, body) == "kept"


def test_locks_and_scripts(application):
    async def body(connect):
        client, order = connect(), []
        add = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")

        async def critical():
            async with client.lock("mutex", timeout=10, sleep=0.002):
                order.append("in")
                await add(["s"], [1])
                order.append("out")

        await client.script_flush()
        await asyncio.gather(*(critical() for _ in range(10)))
        assert order == ["in", "out"] * 10
        await client.script_flush()
        return await add(["s"], [1])

    assert run(application, body) == 11


def test_restart_of_the_backend(application):
    async def body(connect):
        client, pubsub = connect(), connect().pubsub(ignore_subscribe_messages=True)
        await pubsub.subscribe("news")
        await client.set("k", "before")
        await asyncio.to_thread(application.redis_server.restart)
        assert await until(lambda: recovers(client.set("k", "after")))
        await until(lambda: is_subscribed_again(client, pubsub))
        message = await until(lambda: recovers(pubsub.get_message(timeout=0.1)))
        await pubsub.close()
        return message["data"]

    async def is_subscribed_again(client, pubsub):
        return await recovers(pubsub.get_message(timeout=0.05)) or await client.publish("news", "back")

    assert run(application, body) == "back"


async def recovers(call):
    """What the call gives, or None when it failed because the backend went away."""
    try:
        return await call
    except (RedisConnectionError, ResponseError) as error:
        assert isinstance(error, RedisConnectionError) or str(error).startswith(("RGUNKNOWN", "RGUNAVAIL", "RGSTATE"))
        return None
