// What an application does with node-redis, against REDIS_URL. `node node_redis.js MODULE RESP`: redis5 or redis (6),
// RESP 2 or 3.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { urlOf, runCases, within, until, askParent } = require('./cases');

const nodeRedis = require(process.argv[2] || 'redis');
const RESP = Number(process.argv[3] || 3);

/** A connected client that the case closes; its error events are kept in `errors`. */
async function open(own, { db = 0, ...options } = {}) {
  const client = nodeRedis.createClient({ url: urlOf(db), RESP, ...options });
  client.errors = [];
  client.on('error', (error) => client.errors.push(error));
  own(client, () => (client.isOpen ? client.close() : null));
  return client.connect();
}

const isListed = (client, text) =>
  until(async () => (await client.sendCommand(['CLIENT', 'LIST'])).includes(text), `${text} in CLIENT LIST`);

const connection = {
  async 'connects, has its name and speaks the version asked for'(own) {
    const client = await open(own, { name: 'node-one', db: 2 });
    assert.equal(await client.clientGetName(), 'node-one');
    const hello = await client.hello();
    const { proto, server } = hello;
    assert.deepEqual({ proto, server }, { proto: RESP, server: 'redis' });
    const info = await client.clientInfo();
    assert.equal(info.name, 'node-one');
    assert.equal(info.db, 2);
    assert.equal(info.id, await client.clientId());
    const mine = (await client.clientList()).filter(({ name }) => name === 'node-one');
    assert.deepEqual(mine.map(({ id }) => id), [info.id]);
    assert.equal(await client.ping(), 'PONG');
  },

  async 'a duplicate is a connection of its own'(own) {
    const client = await open(own, { name: 'node-two', db: 3 });
    const second = client.duplicate();
    second.on('error', () => {});
    await own(second, () => second.close()).connect();
    await client.set('node:dup', 'seen');
    assert.equal(await second.get('node:dup'), 'seen');
    assert.notEqual(await client.clientId(), await second.clientId());
    assert.equal((await client.clientList()).filter(({ name }) => name === 'node-two').length, 2);
    await second.select(4);
    assert.equal(await second.get('node:dup'), null);
    assert.equal(await client.get('node:dup'), 'seen');
  },

  async 'close, destroy and quit end it, nothing is lost'(own) {
    const witness = await open(own);
    const closing = await open(own);
    const writes = Array.from({ length: 100 }, (_, i) => closing.set(`node:close:${i}`, i));
    await closing.close();
    assert.deepEqual(await Promise.all(writes), Array(100).fill('OK'));
    const quitting = await open(own);
    assert.equal(await quitting.quit(), 'OK');
    const destroyed = await open(own);
    const id = await destroyed.clientId();
    destroyed.destroy();
    await until(async () => (await witness.clientList()).every((line) => line.id !== id), 'the client to be gone');
    await assert.rejects(destroyed.get('x'), /closed/i);
    await assert.rejects(quitting.get('x'), /closed/i);
  },

  async 'a pool of clients serves many callers'(own) {
    const pool = nodeRedis.createClientPool({ url: urlOf(0), RESP }, { minimum: 2, maximum: 20 });
    pool.on('error', () => {});
    await own(pool, () => pool.close()).connect();
    const echoes = await Promise.all(Array.from({ length: 500 }, (_, i) => pool.echo(`e${i}`)));
    assert.deepEqual(echoes, Array.from({ length: 500 }, (_, i) => `e${i}`));
  },

  async 'RESET makes the connection as new'(own) {
    const client = await open(own, { db: 6 });
    await client.set('node:reset', 'six');
    await client.reset();
    assert.equal(await client.ping(), 'PONG');
  },
};

const commands = {
  async 'types come back as this version has them'(own) {
    const client = await open(own);
    await client.del(['node:h', 'node:z', 'node:s', 'node:str']);
    await client.hSet('node:h', { one: '1', two: '2' });
    assert.deepEqual({ ...(await client.hGetAll('node:h')) }, { one: '1', two: '2' });
    await client.zAdd('node:z', [{ value: 'a', score: 1 }, { value: 'b', score: 2.5 }]);
    assert.deepEqual(await client.zRangeWithScores('node:z', 0, -1),
      [{ value: 'a', score: 1 }, { value: 'b', score: 2.5 }]);
    assert.equal(await client.zScore('node:z', 'b'), 2.5);
    await client.sAdd('node:s', ['x', 'y']);
    assert.deepEqual([...(await client.sMembers('node:s'))].sort(), ['x', 'y']);
    assert.equal(await client.get('node:none'), null);
    await assert.rejects(client.incr('node:h'), /WRONGTYPE/);
    const raw = await client.sendCommand(['ZRANGE', 'node:z', '0', '-1', 'WITHSCORES']);
    assert.deepEqual(raw, RESP === 3 ? [['a', 1], ['b', 2.5]] : ['a', '1', 'b', '2.5']);
  },

  async 'COMMAND tells each command once, and INFO the same of each name'(own) {
    const client = await open(own);
    const all = await client.command();
    assert.equal(all.length, await client.commandCount());
    const names = all.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    const withoutSubcommands = (entries) => entries.map((entry) => ({ ...entry, subcommands: [] })); // in any order
    assert.deepEqual(withoutSubcommands(await client.commandInfo(names)), withoutSubcommands(all));
    const listed = await client.commandList();
    assert.deepEqual([...listed].filter((name) => !name.includes('|')).sort(), [...names].sort());
    assert.ok(all.every(({ flags, categories }) => flags instanceof Set && categories instanceof Set));
    assert.equal(all[names.indexOf('mset')].lastKeyIndex, -1);
    assert.deepEqual(await client.commandGetKeys(['MSET', 'node:a', '1', 'node:b', '2']), ['node:a', 'node:b']);
    assert.equal((await client.commandGetKeysAndFlags(['GET', 'node:a'])).length, 1);
  },

  async 'binary values of any size come back'(own) {
    const client = await open(own);
    const buffers = client.withTypeMapping({ [nodeRedis.RESP_TYPES.BLOB_STRING]: Buffer });
    for (const size of [0, 1, 65535, 65536, 3000000]) {
      const value = crypto.randomBytes(size);
      await client.set('node:binary', value);
      assert.ok(value.equals(await buffers.get('node:binary')), `${size} bytes`);
    }
  },

  async 'a thousand commands of one tick keep their order'(own) {
    const client = await open(own);
    await client.del('node:n');
    const counts = await Promise.all(Array.from({ length: 1000 }, () => client.incr('node:n')));
    assert.deepEqual(counts, Array.from({ length: 1000 }, (_, i) => i + 1));
    const piped = await client.multi().incr('node:n').echo('x').get('node:n').execAsPipeline();
    assert.deepEqual(piped, [1001, 'x', '1001']);
  },

  async 'MULTI, and an error inside it'(own) {
    const client = await open(own);
    await client.del('node:m');
    assert.deepEqual(await client.multi().set('node:m', 1).incr('node:m').get('node:m').exec(), ['OK', 2, '2']);
    const failure = await client.multi().lPush('node:m', 'x').incr('node:m').exec().catch((error) => error);
    assert.equal(failure.constructor.name, 'MultiErrorReply');
    assert.deepEqual(failure.errorIndexes, [0]);
    assert.equal(failure.replies[1], 3);
    await assert.rejects(client.multi().addCommand(['SET', 'node:m']).exec(), /EXECABORT|wrong number/);
    assert.equal(await client.get('node:m'), '3');
  },

  async 'WATCH fails the transaction when another client writes'(own) {
    const [client, other] = [await open(own), await open(own)];
    await client.set('node:w', 1);
    await client.watch('node:w');
    assert.deepEqual(await client.multi().incr('node:w').exec(), [2]);
    await client.watch('node:w');
    await other.set('node:w', 7);
    await assert.rejects(client.multi().incr('node:w').exec(), nodeRedis.WatchError);
    await client.watch('node:w');
    await client.unwatch();
    await other.set('node:w', 8);
    assert.deepEqual(await client.multi().incr('node:w').exec(), [9]);
  },

  async 'scripts survive SCRIPT FLUSH'(own) {
    const add = nodeRedis.defineScript({
      SCRIPT: "return redis.call('INCRBY', KEYS[1], ARGV[1])",
      NUMBER_OF_KEYS: 1,
      parseCommand(parser, key, by) {
        parser.pushKey(key);
        parser.push(String(by));
      },
      transformReply: (reply) => reply,
    });
    const client = await open(own, { scripts: { add } });
    await client.del('node:script');
    assert.equal(await client.add('node:script', 2), 2);
    assert.equal(await client.add('node:script', 3), 5);
    await client.scriptFlush();
    assert.equal(await client.add('node:script', 4), 9);
    assert.deepEqual(await client.multi().add('node:script', 1).add('node:script', 1).exec(), [10, 11]);
    const sha = await client.scriptLoad('return ARGV');
    assert.deepEqual(await client.evalSha(sha, { arguments: ['a', 'b'] }), ['a', 'b']);
    await assert.rejects(client.evalSha('f'.repeat(40)), /NOSCRIPT/);
  },

  async 'scan iterators find every key'(own) {
    const client = await open(own, { db: 5 });
    await client.flushDb();
    const names = Array.from({ length: 2000 }, (_, i) => `node:scan:${i}`);
    await client.mSet(names.map((name) => [name, 'v']));
    const seen = new Set();
    for await (const keys of client.scanIterator({ MATCH: 'node:scan:*', COUNT: 100 })) {
      keys.forEach((key) => seen.add(key));
    }
    assert.deepEqual([...seen].sort(), names.sort());
  },

  async 'a consumer group reads a stream, blocking'(own) {
    const [reader, writer] = [await open(own), await open(own)];
    await writer.del('node:stream');
    await writer.xGroupCreate('node:stream', 'group', '$', { MKSTREAM: true });
    const group = ['XREADGROUP', 'GROUP', 'group', 'me', 'BLOCK'];
    const reading = reader.sendCommand([...group, '5000', 'STREAMS', 'node:stream', '>']);
    await isListed(writer, 'cmd=xreadgroup ');
    const id = await writer.xAdd('node:stream', '*', { field: 'value' });
    const reply = await reading;
    const entries = RESP === 3 ? Object.entries(reply) : reply;
    assert.deepEqual(entries, [['node:stream', [[id, ['field', 'value']]]]]);
    assert.equal(await reader.xAck('node:stream', 'group', id), 1);
    assert.equal(await reader.sendCommand([...group, '10', 'STREAMS', 'node:stream', '>']), null);
  },
};

const waiting = {
  async 'a blocked pop delays nobody else'(own) {
    const [blocked, other] = [await open(own), await open(own)];
    await other.del('node:queue');
    const popped = blocked.brPop('node:queue', 10);
    await isListed(other, 'cmd=brpop ');
    for (let number = 0; number < 100; number += 1) assert.equal(await other.echo(String(number)), String(number));
    await other.lPush('node:queue', 'job');
    assert.deepEqual({ ...(await popped) }, { key: 'node:queue', element: 'job' });
    assert.equal(await blocked.blPop('node:queue', 0.05), null);
    const zset = blocked.bzPopMin('node:bz', 10);
    await isListed(other, 'cmd=bzpopmin ');
    await other.zAdd('node:bz', { value: 'first', score: 1 });
    assert.deepEqual({ ...(await zset) }, { key: 'node:bz', value: 'first', score: 1 });
  },

  async 'publishes to channels, patterns and shards'(own) {
    const [subscriber, publisher] = [await open(own), await open(own)];
    const heard = [];
    const hear = (text, channel) => heard.push(`${channel}=${text}`);
    await subscriber.subscribe(['node:news', 'node:sport'], hear);
    await subscriber.pSubscribe('node:*', hear);
    await subscriber.sSubscribe('node:shard', hear);
    assert.equal(await publisher.publish('node:news', 'hello'), 2);
    assert.equal(await publisher.sPublish('node:shard', 'piece'), 1);
    await until(() => heard.length === 3, 'three messages');
    assert.deepEqual(heard.sort(), ['node:news=hello', 'node:news=hello', 'node:shard=piece']);
    if (RESP === 3) assert.equal(await subscriber.echo('while subscribed'), 'while subscribed');
    await subscriber.unsubscribe('node:news');
    assert.equal(await publisher.publish('node:news', 'again'), 1);
    await subscriber.unsubscribe('node:sport');
    await subscriber.sUnsubscribe('node:shard');
    await subscriber.pUnsubscribe('node:*');
    assert.equal(String(await subscriber.set('node:after', 'works')), 'OK'); // a Buffer in RESP2, also without a proxy
    assert.equal(await publisher.publish('node:news', 'nobody'), 0);
  },

  async 'MONITOR sees the commands of others'(own) {
    const [watcher, other] = [await open(own), await open(own)];
    const seen = [];
    await watcher.monitor((line) => seen.push(String(line)));
    await other.set('node:monitored', 'yes');
    await until(() => seen.some((line) => line.includes('"node:monitored" "yes"')), 'the command to be seen');
    watcher.destroy();
  },
};

const caching = {
  async 'client-side caching is invalidated by others'(own) {
    const cache = new nodeRedis.BasicClientSideCache({ ttl: 0, maxEntries: 100, recordStats: true });
    const [client, other] = [await open(own, { clientSideCache: cache }), await open(own)];
    await other.set('node:cached', 'one');
    assert.equal(await client.get('node:cached'), 'one');
    assert.equal(await client.get('node:cached'), 'one');
    assert.equal(cache.stats().hitCount, 1);
    await other.set('node:cached', 'two');
    await until(async () => (await client.get('node:cached')) === 'two', 'the new value');
    const { hitCount } = cache.stats();
    assert.equal(await client.get('node:cached'), 'two');
    assert.equal(cache.stats().hitCount, hitCount + 1);
    await other.flushDb();
    await until(async () => (await client.get('node:cached')) === null, 'the flush to be noticed');
  },
};

const restart = {
  async 'everything works again after a restart of the backend'(own) {
    const [client, subscriber, blocked] = [await open(own), await open(own), await open(own)];
    const heard = [];
    await subscriber.subscribe('node:restart', (text) => heard.push(text));
    const popped = blocked.brPop('node:restart:list', 0).catch((error) => error);
    await until(async () => /blocked_clients:[1-9]/.test(await client.info('clients')), 'the backend to hold the pop');

    await askParent('restart');

    await until(() => client.set('node:back', 'yes').catch(() => null), 'a write to succeed');
    await until(async () => (await client.publish('node:restart', 'again')) === 1, 'the subscription to be back');
    await until(() => heard.includes('again'), 'a message');
    const failure = await within(popped, 10000, 'the blocked pop to fail');
    assert.match(`${failure.message}`, /^RGSTATE|^UNBLOCKED|closed/i);
    await client.rPush('node:restart:list', 'job');
    const again = await until(() => blocked.brPop('node:restart:list', 5).catch(() => null), 'the pop to work');
    assert.equal(again.element, 'job');
  },
};

runCases({ ...connection, ...commands, ...waiting, ...(RESP === 3 ? caching : {}), ...restart });
