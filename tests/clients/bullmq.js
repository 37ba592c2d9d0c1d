// Queues as BullMQ drives them, against REDIS_URL. `node bullmq.js [ioredis|redis]`: the client beneath it.
'use strict';

const assert = require('node:assert/strict');
const { Queue, Worker, QueueEvents, FlowProducer, UnrecoverableError } = require('bullmq');
const Redis = require('ioredis');
const nodeRedis = require('redis');
const { urlOf, runCases, within, until, pause, askParent } = require('./cases');

const driver = process.argv[2] || 'ioredis';
const quiet = (thing) => thing.on('error', () => {});
const closing = (thing) => thing.close();

/** A connection for BullMQ; each of its objects makes what more it needs from it. */
async function connect(own) {
  if (driver === 'ioredis') {
    const redis = quiet(new Redis(urlOf(0), { maxRetriesPerRequest: null }));
    return own(redis, () => redis.quit());
  }
  const client = quiet(nodeRedis.createClient({ url: urlOf(0) }));
  await client.connect();
  return own(client, () => client.close());
}

/** A queue, its events and makers of workers for it, all closed by the case; `done` collects completed jobs. */
async function open(own, name, options = {}) {
  const connection = await connect(own);
  const queue = own(quiet(new Queue(name, { connection, ...options })), closing);
  await queue.obliterate({ force: true });
  const events = own(quiet(new QueueEvents(name, { connection })), closing);
  await events.waitUntilReady();
  const done = [];
  const work = async (handle, workerOptions = {}) => {
    const worker = own(quiet(new Worker(name, handle, { connection, ...workerOptions })), closing);
    worker.on('completed', (job, result) => done.push(result));
    return worker.waitUntilReady().then(() => worker);
  };
  return { queue, events, work, done };
}

const finish = (job, events) => job.waitUntilFinished(events, 15000);

const cases = {
  async 'a job is worked on and its result comes back'(own) {
    const { queue, events, work } = await open(own, 'plain');
    await work(async (job) => {
      await job.updateProgress(50);
      await job.log('half');
      return job.data.n * 2;
    });
    const progress = [];
    events.on('progress', ({ data }) => progress.push(data));
    const job = await queue.add('double', { n: 21 });
    assert.equal(await finish(job, events), 42);
    await until(() => progress.length === 1, 'the progress event');
    assert.deepEqual(progress, [50]);
    assert.deepEqual((await queue.getJobLogs(job.id)).logs, ['half']);
    assert.equal(await (await queue.getJob(job.id)).getState(), 'completed');
  },

  async 'two hundred jobs over two workers, each job once'(own) {
    const { queue, work, done } = await open(own, 'many');
    let [now, most] = [0, 0];
    const handle = async (job) => {
      now += 1;
      most = Math.max(most, now);
      await pause(1);
      now -= 1;
      return job.data.n;
    };
    await work(handle, { concurrency: 10 });
    await work(handle, { concurrency: 10 });
    await queue.addBulk(Array.from({ length: 200 }, (_, n) => ({ name: 'n', data: { n } })));
    await until(() => done.length === 200, 'all jobs', 20000);
    assert.deepEqual(done.sort((a, b) => a - b), Array.from({ length: 200 }, (_, n) => n));
    assert.ok(most > 1 && most <= 20, `${most} at once`);
    assert.deepEqual(await queue.getJobCounts('waiting', 'active', 'failed'), { waiting: 0, active: 0, failed: 0 });
  },

  async 'a delayed job waits its time'(own) {
    const { queue, events, work } = await open(own, 'delayed');
    await work(async () => Date.now());
    const added = Date.now();
    const job = await queue.add('later', {}, { delay: 400 });
    assert.equal(await job.getState(), 'delayed');
    const ran = await finish(job, events);
    assert.ok(ran - added >= 395 && ran - added < 10000, `ran after ${ran - added} ms`);
  },

  async 'failures are tried again, with a delay, until they may not'(own) {
    const { queue, events, work } = await open(own, 'retries');
    let tries = 0;
    await work(async (job) => {
      tries += 1;
      if (job.name === 'never') throw new UnrecoverableError('no use');
      if (job.attemptsMade < 2) throw new Error('not yet');
      return job.attemptsMade;
    });
    const backoff = { type: 'exponential', delay: 20 };
    assert.equal(await finish(await queue.add('third', {}, { attempts: 5, backoff }), events), 2);
    assert.equal(tries, 3);
    const never = await queue.add('never', {}, { attempts: 5, backoff });
    await assert.rejects(finish(never, events), /no use/);
    assert.equal(tries, 4);
    assert.deepEqual((await queue.getFailed()).map((job) => job.id), [never.id]);
  },

  async 'workers are listed by name'(own) {
    const { queue, work } = await open(own, 'listed');
    await work(async () => 1, { name: 'first' });
    const second = await work(async () => 1, { name: 'second' });
    const names = async () => (await queue.getWorkers()).map((worker) => worker.rawname.split(':').pop()).sort();
    await until(async () => (await names()).join() === 'first,second', 'both workers to be listed');
    assert.equal(await queue.getWorkersCount(), 2);
    await second.close();
    await until(async () => (await names()).join() === 'first', 'the second worker to be gone');
  },

  async 'pause stops the work and resume lets it go on'(own) {
    const { queue, work, done } = await open(own, 'paused');
    await work(async (job) => job.data);
    await queue.pause();
    assert.equal(await queue.isPaused(), true);
    await queue.add('held', 'held');
    await pause(300);
    assert.deepEqual(done, []);
    await queue.resume();
    await until(() => done.length === 1, 'the job');
    assert.deepEqual(done, ['held']);
  },

  async 'a scheduler repeats a job'(own) {
    const { queue, work, done } = await open(own, 'repeated');
    await work(async (job) => job.name);
    await queue.upsertJobScheduler('every', { every: 100 }, { name: 'tick' });
    await until(() => done.length >= 4, 'four ticks');
    assert.equal((await queue.getJobSchedulers()).length, 1);
    assert.equal(await queue.removeJobScheduler('every'), true);
  },

  async 'a limited worker keeps its rate'(own) {
    const { queue, work, done } = await open(own, 'limited');
    const started = Date.now();
    await work(async () => Date.now() - started, { limiter: { max: 2, duration: 300 } });
    await queue.addBulk(Array.from({ length: 6 }, () => ({ name: 'n', data: {} })));
    await until(() => done.length === 6, 'six jobs');
    assert.ok(Math.max(...done) >= 550, `six jobs took ${Math.max(...done)} ms`);
  },

  async 'priorities, deduplication and a flow'(own) {
    const { queue, events, work, done } = await open(own, 'flow');
    await queue.pause();
    await queue.add('low', 'low', { priority: 10 });
    await queue.add('high', 'high', { priority: 1 });
    const one = await queue.add('dup', 'dup', { jobId: 'same', priority: 20 });
    const two = await queue.add('dup', 'other', { jobId: 'same', priority: 20 });
    assert.equal(one.id, two.id);
    await work(async (job) => (job.name === 'parent' ? Object.values(await job.getChildrenValues()) : job.data));
    await queue.resume();
    await until(() => done.length === 3, 'three jobs');
    assert.deepEqual(done, ['high', 'low', 'dup']);
    const flows = own(quiet(new FlowProducer({ connection: await connect(own) })), closing);
    const children = ['a', 'b'].map((data) => ({ name: 'child', data, queueName: 'flow' }));
    const { job } = await flows.add({ name: 'parent', queueName: 'flow', children });
    assert.deepEqual((await finish(job, events)).sort(), ['a', 'b']);
  },

  async 'work goes on by itself after a restart of the backend'(own) {
    const { queue, events, work, done } = await open(own, 'restarted');
    const completed = [];
    events.on('completed', ({ jobId }) => completed.push(jobId));
    await work(async (job) => job.data.n, { concurrency: 3, drainDelay: 1, stalledInterval: 1000, lockDuration: 2000 });
    await queue.add('before', { n: 0 });
    await until(() => done.length === 1, 'the first job');

    await askParent('restart');

    const add = (n) => queue.add('after', { n }).catch(() => null);
    for (let n = 1; n <= 20; n += 1) assert.ok(await within(until(() => add(n), 'an add to succeed'), 15000, 'an add'));
    await until(() => new Set(done).size === 21, 'all jobs to be done', 20000);
    await until(() => new Set(completed).size >= 20, 'the events', 20000);
    await until(async () => (await queue.getWorkersCount()) === 1, 'the worker to be listed again');
  },
};

runCases(cases);
