// Runs named cases one after another against REDIS_URL and says what came of each; the exit code is 1 if one failed.
'use strict';

const readline = require('node:readline');

const caseTimeoutMs = Number(process.env.CASE_TIMEOUT_MS || 30000);

/** The promise's value, or a failure that names what was waited for. */
function within(promise, ms, what) {
  let timer;
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Polls `condition`, which may be async, until it holds; gives its value. */
async function until(condition, what, ms = 10000) {
  const deadline = Date.now() + ms;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited ${ms} ms for ${what}`);
    await pause(10);
  }
}

/** Resolves with the arguments of the next `event`; an 'error' event meanwhile is the caller's business. */
function next(emitter, event, ms = 10000) {
  const happened = new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));
  return within(happened, ms, `the event '${event}'`);
}

const answers = [];
let askedFor = null;

/** Asks the parent process for `what` (such as 'restart') by a line on stdout; it answers with a line on stdin. */
function askParent(what) {
  if (askedFor === null) {
    askedFor = readline.createInterface({ input: process.stdin });
    askedFor.on('line', () => answers.shift()());
  }
  const done = new Promise((resolve) => answers.push(resolve));
  process.stdout.write(`@${what}\n`);
  return within(done, 20000, `the parent to ${what}`);
}

async function runOne(name, body) {
  const closers = [];
  const started = Date.now();
  const own = (thing, close) => {
    closers.unshift(() => close(thing));
    return thing;
  };
  try {
    await within(body(own), caseTimeoutMs, `the case to end`);
    for (const close of closers) await within(Promise.resolve(close()), 10000, 'a client to close');
    process.stdout.write(`ok: ${name} (${Date.now() - started} ms)\n`);
    return true;
  } catch (failure) {
    process.stdout.write(`FAILED: ${name}\n${failure.stack}\n`);
    await Promise.allSettled(closers.map(async (close) => within(Promise.resolve(close()), 1000, 'a close')));
    return false;
  }
}

/** `bodies` maps names to async functions of `own(thing, close)`; CASE=part of a name runs a selection. */
async function runCases(bodies) {
  const names = Object.keys(bodies).filter((name) => name.includes(process.env.CASE || ''));
  let failed = names.length ? 0 : 1;
  process.on('unhandledRejection', (failure) => {
    failed += 1;
    process.stdout.write(`FAILED: unhandled rejection\n${failure && failure.stack}\n`);
  });
  for (const name of names) {
    if (!(await runOne(name, bodies[name]))) failed += 1;
  }
  process.stdout.write(`cases: ${names.length} run, ${failed} failed\n`);
  process.exit(failed ? 1 : 0);
}

if (!process.env.REDIS_URL) throw new Error('REDIS_URL is not set');

/** REDIS_URL with another database. */
const urlOf = (db) => Object.assign(new URL(process.env.REDIS_URL), { pathname: `/${db}` }).href;

module.exports = { urlOf, runCases, within, until, next, pause, askParent };
