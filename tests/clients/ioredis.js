// What an application does with ioredis, against REDIS_URL. `node ioredis.js [MODULE]`: ioredis (5) or ioredis6.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { urlOf, runCases, within, until, next, askParent } = require('./cases');

const Redis = require(process.argv[2] || 'ioredis');

/** A client that the case closes by QUIT; its error events are kept in `errors`. */
function open(own, { db = 0, ...options } = {}) {
  const redis = own(new Redis(urlOf(db), options), (client) => (client.status === 'end' ? null : client.quit()));
  redis.errors = [];
  redis.on('error', (error) => redis.errors.push(error));
  return redis;
}

const connection = {
  async 'connects, is ready and lists itself by name'(own) {
    const redis = open(own, { connectionName: 'io-one', db: 2 });
    await next(redis, 'ready');
    assert.equal(await redis.client('GETNAME'), 'io-one');
    const lines = (await redis.client('LIST')).split('\n').filter((line) => line.includes('name=io-one '));
    assert.equal(lines.length, 1);
    assert.match(lines[0], new RegExp(`addr=127\\.0\\.0\\.1:${redis.stream.localPort} `));
    assert.match(lines[0], /db=2 /);
    assert.match(lines[0], new RegExp(`^id=${await redis.client('ID')} `));
    await redis.client('SETNAME', 'io-two');
    assert.match(await redis.client('LIST'), /name=io-two /);
    assert.match(await redis.client('INFO'), /name=io-two /);
  },

  async 'keeps databases apart'(own) {
    const [zero, three] = [open(own, { db: 0 }), open(own, { db: 3 })];
    await Promise.all([zero.set('io:db', 'zero'), three.set('io:db', 'three')]);
    assert.deepEqual(await Promise.all([zero.get('io:db'), three.get('io:db')]), ['zero', 'three']);
    await zero.select(3);
    assert.equal(await zero.get('io:db'), 'three');
    await zero.select(0);
    assert.equal(await zero.get('io:db'), 'zero');
    await assert.rejects(zero.select(9999), /DB index is out of range/);
  },

  async 'fifty clients at once get their own replies'(own) {
    const clients = Array.from({ length: 50 }, () => open(own));
    await Promise.all(clients.map(async (client, number) => {
      for (let round = 0; round < 20; round += 1) {
        const tag = `${number}:${round}`;
        const [, reply] = await Promise.all([client.set(`io:tag:${number}`, tag), client.get(`io:tag:${number}`)]);
        assert.equal(reply, tag);
        assert.equal(await client.echo(tag), tag);
      }
    }));
  },

  async 'one client is killed by another and comes back'(own) {
    const [victim, killer] = [open(own), open(own)];
    const id = await victim.client('ID');
    const again = next(victim, 'ready');
    assert.equal(await killer.client('KILL', 'ID', id), 1);
    await again;
    assert.notEqual(await victim.client('ID'), id);
    assert.equal(await killer.client('KILL', 'ID', id), 0);
  },

  async 'QUIT is answered, disconnect is not waited for'(own) {
    const redis = new Redis(urlOf(0));
    redis.set('io:last', 'written');
    assert.equal(await redis.quit(), 'OK');
    await until(() => redis.status === 'end', 'the connection to end');
    const other = open(own);
    assert.equal(await other.get('io:last'), 'written');
    const dropped = new Redis(urlOf(0), { retryStrategy: null });
    await next(dropped, 'ready');
    const ended = next(dropped, 'end');
    dropped.disconnect();
    await ended;
  },
};

const commands = {
  async 'a pipeline keeps its order around an error'(own) {
    const redis = open(own);
    await redis.del('io:list', 'io:n');
    const pipeline = redis.pipeline().rpush('io:list', 'a');
    for (let number = 1; number <= 1000; number += 1) pipeline.incr('io:n');
    pipeline.incr('io:list').echo('last');
    const results = await pipeline.exec();
    assert.equal(results.length, 1003);
    assert.deepEqual(results.slice(1, 1001).map(([, value]) => value), Array.from({ length: 1000 }, (_, i) => i + 1));
    assert.match(results[1001][0].message, /^WRONGTYPE/);
    assert.deepEqual(results[1002], [null, 'last']);
  },

  async 'commands of one tick are pipelined by themselves'(own) {
    const redis = open(own, { enableAutoPipelining: true });
    await redis.mset(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`io:auto:${i}`, i])));
    const got = await Promise.all(Array.from({ length: 500 }, (_, i) => redis.get(`io:auto:${i}`)));
    assert.deepEqual(got, Array.from({ length: 500 }, (_, i) => String(i)));
  },

  async 'COMMAND tells each command once, and INFO the same of each name'(own) {
    const redis = open(own);
    const all = await redis.command();
    assert.equal(all.length, await redis.command('COUNT'));
    const names = all.map(([name]) => name);
    assert.equal(new Set(names).size, names.length);
    const withoutSubcommands = (entries) => entries.map((entry) => entry.slice(0, 9)); // whose order is by chance
    assert.deepEqual(withoutSubcommands(await redis.command('INFO', ...names)), withoutSubcommands(all));
    for (const [name, arity, flags, first, last, step, categories] of all) {
      assert.ok([arity, first, last, step].every(Number.isInteger), name);
      assert.ok(flags.every((flag) => typeof flag === 'string') && categories.every((word) => word[0] === '@'), name);
    }
    assert.deepEqual(all[names.indexOf('mset')].slice(3, 6), [1, -1, 2]);
    assert.deepEqual(await redis.command('GETKEYS', 'MSET', 'io:a', 1, 'io:b', 2), ['io:a', 'io:b']);
  },

  async 'binary values of any size come back'(own) {
    const redis = open(own);
    for (const size of [0, 1, 65535, 65536, 3000000]) {
      const value = crypto.randomBytes(size);
      await redis.set('io:binary', value);
      assert.ok(value.equals(await redis.getBuffer('io:binary')), `${size} bytes`);
    }
  },

  async 'MULTI in one write and step by step'(own) {
    const redis = open(own);
    await redis.del('io:multi');
    assert.deepEqual(await redis.multi().set('io:multi', 1).incr('io:multi').exec(), [[null, 'OK'], [null, 2]]);
    await redis.multi({ pipeline: false });
    assert.equal(await redis.incr('io:multi'), 'QUEUED');
    assert.equal(await redis.get('io:multi'), 'QUEUED');
    assert.deepEqual(await redis.exec(), [[null, 3], [null, '3']]);
    await redis.multi({ pipeline: false });
    await redis.incr('io:multi');
    assert.equal(await redis.discard(), 'OK');
    assert.equal(await redis.get('io:multi'), '3');
    await assert.rejects(redis.multi().set('io:multi').exec(), /EXECABORT/);
    const [[first], [, second]] = await redis.multi().lpush('io:multi', 1).echo('after').exec();
    assert.match(first.message, /^WRONGTYPE/);
    assert.equal(second, 'after');
  },

  async 'WATCH aborts when another client writes'(own) {
    const [redis, other] = [open(own), open(own)];
    await redis.set('io:watched', 1);
    await redis.watch('io:watched');
    assert.deepEqual(await redis.multi().incr('io:watched').exec(), [[null, 2]]);
    await redis.watch('io:watched');
    await other.set('io:watched', 10);
    assert.equal(await redis.multi().incr('io:watched').exec(), null);
    await redis.watch('io:watched');
    await other.set('io:watched', 20);
    await redis.unwatch();
    assert.deepEqual(await redis.multi().incr('io:watched').exec(), [[null, 21]]);
  },

  async 'scripts survive SCRIPT FLUSH'(own) {
    const redis = open(own);
    const lua = "redis.call('INCRBY', KEYS[1], ARGV[1]) return {KEYS[1], redis.call('GET', KEYS[1])}";
    redis.defineCommand('addTo', { numberOfKeys: 1, lua });
    await redis.del('io:script');
    assert.deepEqual(await redis.addTo('io:script', 2), ['io:script', '2']);
    assert.deepEqual(await redis.addTo('io:script', 3), ['io:script', '5']);
    await redis.script('FLUSH');
    assert.deepEqual(await redis.addTo('io:script', 4), ['io:script', '9']);
    const results = await redis.pipeline().addTo('io:script', 1).echo('x').addTo('io:script', 1).exec();
    assert.deepEqual(results.map(([, value]) => value), [['io:script', '10'], 'x', ['io:script', '11']]);
    await assert.rejects(redis.eval("return redis.error_reply('MINE no')", 0), /^ReplyError: MINE no/);
    await assert.rejects(redis.evalsha('f'.repeat(40), 0), /NOSCRIPT No matching script/);
  },

  async 'scan streams find every key'(own) {
    const redis = open(own, { db: 5 });
    await redis.flushdb();
    const names = Array.from({ length: 3000 }, (_, i) => `io:scan:${i}`);
    await redis.mset(Object.fromEntries(names.map((name) => [name, 1])));
    const seen = new Set();
    for await (const keys of redis.scanStream({ match: 'io:scan:*', count: 100 })) keys.forEach((key) => seen.add(key));
    assert.deepEqual([...seen].sort(), names.sort());
    await redis.hset('io:hash', Object.fromEntries(names.map((name) => [name, 'v'])));
    let fields = 0;
    for await (const pairs of redis.hscanStream('io:hash')) fields += pairs.length / 2;
    assert.equal(fields, 3000);
  },

  async 'a consumer group reads a stream, blocking'(own) {
    const [reader, writer] = [open(own), open(own)];
    await writer.del('io:stream');
    await writer.xgroup('CREATE', 'io:stream', 'group', '$', 'MKSTREAM');
    const args = ['GROUP', 'group', 'me', 'COUNT', 1, 'BLOCK', 5000, 'STREAMS', 'io:stream', '>'];
    const waiting = reader.xreadgroup(...args);
    await until(async () => /cmd=xreadgroup /.test(await writer.client('LIST')), 'the reader to block');
    const id = await writer.xadd('io:stream', '*', 'field', 'value');
    assert.deepEqual(await waiting, [['io:stream', [[id, ['field', 'value']]]]]);
    assert.equal(await reader.xack('io:stream', 'group', id), 1);
    assert.equal(await reader.xreadgroup('GROUP', 'group', 'me', 'BLOCK', 10, 'STREAMS', 'io:stream', '>'), null);
  },
};

const waiting = {
  async 'a blocked pop delays nobody else'(own) {
    const [blocked, other] = [open(own), open(own)];
    await other.del('io:queue', 'io:queue2');
    const popped = blocked.brpop('io:queue', 'io:queue2', 10);
    await until(async () => /cmd=brpop /.test(await other.client('LIST')), 'the pop to block');
    for (let number = 0; number < 100; number += 1) assert.equal(await other.echo(String(number)), String(number));
    await other.lpush('io:queue2', 'job');
    assert.deepEqual(await popped, ['io:queue2', 'job']);
    assert.equal(await blocked.blpop('io:queue', 0.05), null);
    assert.equal(await blocked.echo('free again'), 'free again');
  },

  async 'a client that dies in a blocking pop takes nothing with it'(own) {
    const [blocked, other] = [open(own, { retryStrategy: null }), open(own)];
    await other.del('io:gone');
    const popped = blocked.blpop('io:gone', 0);
    const failed = assert.rejects(popped, /Connection is closed/);
    await until(async () => /cmd=blpop /.test(await other.client('LIST')), 'the pop to block');
    blocked.disconnect();
    await failed;
    // A server goes on serving a blocked connection until it has seen its end, so its own word counts, not the list here.
    await until(async () => /blocked_clients:0\r/.test(await other.info('clients')), 'the pop to be gone');
    await other.rpush('io:gone', 'kept');
    assert.equal(await other.lpop('io:gone'), 'kept');
  },

  async 'publishes to channels, patterns and shards'(own) {
    const [one, two, publisher] = [open(own), open(own), open(own)];
    const heard = [];
    one.on('message', (channel, text) => heard.push(['one', channel, text]));
    two.on('pmessage', (pattern, channel, text) => heard.push(['two', pattern, channel, text]));
    one.on('smessage', (channel, text) => heard.push(['shard', channel, text]));
    assert.equal(await one.subscribe('io:news', 'io:sport'), 2);
    assert.equal(await two.psubscribe('io:*'), 1);
    assert.equal(await publisher.publish('io:news', 'hello'), 2);
    assert.equal(await publisher.publish('io:other', 'there'), 1);
    assert.deepEqual(await publisher.pubsub('NUMSUB', 'io:news'), ['io:news', 1]);
    assert.equal(await one.ssubscribe('io:shard'), 1);
    assert.equal(await publisher.spublish('io:shard', 'piece'), 1);
    await until(() => heard.length === 4, 'four messages');
    assert.deepEqual(heard.sort(), [['one', 'io:news', 'hello'], ['shard', 'io:shard', 'piece'],
      ['two', 'io:*', 'io:news', 'hello'], ['two', 'io:*', 'io:other', 'there']]);
    assert.equal(await one.unsubscribe(), 0);
    assert.equal(await one.sunsubscribe(), 0);
    assert.equal(await one.set('io:after', 'works'), 'OK');
    assert.equal(await publisher.publish('io:news', 'hello'), 1);
  },

  async 'keyspace notifications name the database'(own) {
    const [listener, redis] = [open(own), open(own, { db: 4 })];
    const before = await redis.config('GET', 'notify-keyspace-events');
    await redis.config('SET', 'notify-keyspace-events', 'KEA');
    const heard = [];
    listener.on('pmessage', (pattern, channel, text) => heard.push(`${channel} ${text}`));
    await listener.psubscribe('__key*@4__:*');
    await redis.set('io:short', 'x', 'PX', 20);
    await until(() => heard.includes('__keyevent@4__:expired io:short'), 'the key to expire').catch(async (failure) => {
      throw new Error(`${failure.message}; heard ${heard}, left ${await redis.pttl('io:short')} ms`);
    });
    assert.ok(heard.includes('__keyspace@4__:io:short set'));
    await redis.config('SET', 'notify-keyspace-events', before[1]);
  },

  async 'MONITOR sees the commands of others'(own) {
    const [redis, other] = [open(own), open(own)];
    const monitor = own(await redis.monitor(), (client) => client.disconnect());
    const seen = [];
    monitor.on('monitor', (time, args) => seen.push(args.join(' ')));
    await other.set('io:monitored', 'yes');
    await until(() => seen.includes('set io:monitored yes'), 'the command to be seen');
  },
};

const restart = {
  async 'everything works again after a restart of the backend'(own) {
    const [redis, listener, blocked] = [open(own), open(own), open(own, { maxRetriesPerRequest: null })];
    redis.defineCommand('twice', { numberOfKeys: 0, lua: 'return ARGV[1] * 2' });
    assert.equal(await redis.twice(4), 8);
    const heard = [];
    listener.on('message', (channel, text) => heard.push(text));
    await listener.subscribe('io:restart');
    const popped = blocked.brpop('io:restart:list', 0).catch((error) => error);
    await until(async () => /cmd=brpop /.test(await redis.client('LIST')), 'the pop to block');

    await askParent('restart');

    await until(async () => (await redis.set('io:back', 'yes').catch(() => null)) === 'OK', 'a write to succeed');
    assert.equal(await redis.twice(5), 10);
    await until(async () => (await redis.publish('io:restart', 'again')) === 1, 'the subscription to be back');
    await until(() => heard.includes('again'), 'a message');
    await redis.rpush('io:restart:list', 'job');
    const first = await within(popped, 10000, 'the blocked pop');
    // ioredis repeats a pop whose connection was lost, but not one that was answered by an error.
    if (first instanceof Error) assert.match(first.message, /^RGSTATE /);
    const [, value] = first instanceof Error ? await blocked.brpop('io:restart:list', 5) : first;
    assert.equal(value, 'job');
  },

  async 'commands in flight across a restart end, one way or the other'(own) {
    const redis = open(own);
    const outcomes = [];
    let stop = false;
    const stream = (async () => {
      for (let number = 0; !stop; number += 1) {
        const text = `n${number}`;
        const reply = await redis.echo(text).catch((error) => error);
        outcomes.push(reply);
        if (!(reply instanceof Error)) assert.equal(reply, text);
      }
    })();
    await until(() => outcomes.length > 100, 'traffic');
    await askParent('restart');
    const seen = outcomes.length;
    await until(() => outcomes.slice(seen).filter((reply) => typeof reply === 'string').length > 100, 'traffic again');
    stop = true;
    await stream;
    const errors = outcomes.filter((reply) => reply instanceof Error).map((error) => error.message);
    for (const text of errors) assert.match(text, /^(RGUNKNOWN|RGUNAVAIL|LOADING|Connection is closed)/);
  },
};

runCases({ ...connection, ...commands, ...waiting, ...restart });
