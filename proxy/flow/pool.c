#include "proxy/flow/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/flow/worker.h"
#include "proxy/health/snapshot.h"
#include "proxy/net/log.h"
#include "proxy/net/owner.h"
#include "proxy/watch/meter.h"

enum { BACKOFF_FIRST_MS = 10, BACKOFF_MAX_MS = 1000 };

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static bool same_key(const struct lane_key *a, const struct lane_key *b)
{
    return a->backend == b->backend && a->db == b->db && a->db_chosen == b->db_chosen && a->resp == b->resp &&
           same_text(a->user, b->user) && same_text(a->password, b->password);
}

static char *copy_text(const char *text)
{
    char *copy = text ? strdup(text) : NULL;

    if (text && !copy)
        end_out_of_memory(strlen(text) + 1); /* else it would log in as somebody else */
    return copy;
}

void lane_key_select(struct lane_key *key, unsigned db)
{
    key->db = db;
    key->db_chosen = db != key->backend->url.db;
}

struct pool *pool_get(struct worker *worker, const struct lane_key *key)
{
    struct pool *pool;

    LIST_FOREACH(pool, &worker->pools, link)
    if (same_key(&pool->key, key))
        return pool;
    pool = calloc(1, sizeof(*pool));
    if (!pool)
        end_out_of_memory(sizeof(*pool));
    pool->worker = worker;
    pool->serial = ++worker->pool_serial;
    pool->key = (struct lane_key){.backend = backend_ref(key->backend),
                                  .user = copy_text(key->user),
                                  .password = copy_text(key->password),
                                  .db = key->db,
                                  .db_chosen = key->db_chosen,
                                  .resp = key->resp};
    pool->meter = backend_meter(key->backend, worker->index);
    TAILQ_INIT(&pool->shared);
    TAILQ_INIT(&pool->idle);
    TAILQ_INIT(&pool->busy);
    TAILQ_INIT(&pool->waiters);
    LIST_INSERT_HEAD(&worker->pools, pool, link);
    return pool;
}

bool pool_is_full(const struct pool *pool)
{
    const struct pool *other;
    unsigned n = 0;

    LIST_FOREACH(other, &pool->worker->pools, link)
    if (other->key.backend == pool->key.backend)
        n += other->n_lanes;
    return n >= pool->key.backend->max_connections;
}

bool pool_is_routed(const struct pool *pool)
{
    return pool->worker->usable && pool->key.backend == pool->worker->backend;
}

static void free_secret(char *text)
{
    if (!text)
        return;
    explicit_bzero(text, strlen(text));
    free(text);
}

static void on_serve(struct deferred *deferred)
{
    struct pool *pool = OWNER_OF(deferred, struct pool, serve);
    pool->serve_due = false;
    pool_serve(pool);
}

/* When nobody is on the stack any more. */
static void pool_serve_soon(struct pool *pool)
{
    if (pool->serve_due)
        return;
    pool->serve_due = true;
    pool->serve.run = on_serve;
    loop_defer(&pool->worker->loop, &pool->serve);
}

/* --- where a lane is listed --- */

static struct lane_list *list_of(struct pool *pool, enum lane_role role)
{
    return role == LANE_SHARED ? &pool->shared : role == LANE_IDLE ? &pool->idle : &pool->busy;
}

/* The only function that changes a listed lane's role. */
static void move_lane(struct pool *pool, struct lane *lane, enum lane_role role)
{
    TAILQ_REMOVE(list_of(pool, lane->role), lane, link);
    pool->n_shared -= lane->role == LANE_SHARED;
    pool->n_shared += role == LANE_SHARED;
    lane->role = role;
    TAILQ_INSERT_HEAD(list_of(pool, role), lane, link);
}

static struct lane *add_lane(struct pool *pool, enum lane_role role)
{
    struct lane *lane = lane_new(pool, role);

    TAILQ_INSERT_HEAD(list_of(pool, role), lane, link);
    pool->n_lanes++;
    pool->n_shared += role == LANE_SHARED;
    return lane;
}

void pool_drop_lane(struct pool *pool, struct lane *lane)
{
    TAILQ_REMOVE(list_of(pool, lane->role), lane, link);
    pool->n_lanes--;
    pool->n_shared -= lane->role == LANE_SHARED;
    lane->holder = NULL;
    lane_bury(lane);
}

static void drop_all(struct pool *pool, struct lane_list *list)
{
    while (!TAILQ_EMPTY(list))
        pool_drop_lane(pool, TAILQ_FIRST(list));
}

/* --- shared lanes --- */

static bool may_open(const struct pool *pool)
{
    return pool_is_routed(pool) && loop_now_ms(&pool->worker->loop) >= pool->retry_ms;
}

void pool_open_if_due(struct pool *pool, struct lane *lane)
{
    if (lane->state != LANE_CLOSED)
        return;
    if (may_open(pool))
        lane_open(lane);
    else
        worker_want_tick(pool->worker);
}

struct lane *pool_shared_lane(struct pool *pool)
{
    struct lane *lane, *best = NULL;

    if (pool->n_shared < pool->key.backend->connections) {
        best = TAILQ_FIRST(&pool->idle);
        if (best)
            move_lane(pool, best, LANE_SHARED);
        else
            best = add_lane(pool, LANE_SHARED);
    } else {
        TAILQ_FOREACH(lane, &pool->shared, link)
        if (!best || lane->refs < best->refs)
            best = lane;
    }
    assert(best);
    pool_open_if_due(pool, best);
    return best;
}

void pool_divert(struct pool *pool, struct lane *lane)
{
    if (lane->role != LANE_SHARED)
        return;
    lane->held_up_ms = 0;
    lane->held_up_from = lane->conn.received;
    move_lane(pool, lane, LANE_DIVERTED);
}

void pool_retire(struct pool *pool, struct lane *lane)
{
    lane->holder = NULL;
    if (lane->role == LANE_SHARED || lane->role == LANE_PINNED)
        move_lane(pool, lane, LANE_DIVERTED);
    if (lane->role == LANE_DIVERTED && !request_count(&lane->queue))
        pool_lane_drained(pool, lane);
}

void pool_lane_drained(struct pool *pool, struct lane *lane)
{
    if (!lane->clean || lane->tunnel || lane->subscriber || lane->state != LANE_READY || !pool_is_routed(pool)) {
        pool_drop_lane(pool, lane);
    } else {
        lane->used_ms = loop_now_ms(&pool->worker->loop);
        move_lane(pool, lane, LANE_IDLE);
    }
    pool_serve_soon(pool);
}

/* --- pins --- */

static void grant(struct pool *pool, struct lane *lane, struct lane_holder *holder)
{
    lane->holder = holder;
    move_lane(pool, lane, LANE_PINNED);
    count(pool->worker, pins);
}

struct lane *pool_try_pin(struct pool *pool, struct lane_holder *holder)
{
    struct lane *lane = TAILQ_FIRST(&pool->idle);

    if (!lane)
        return NULL;
    grant(pool, lane, holder);
    return lane;
}

void pool_pin_shared(struct pool *pool, struct lane *lane, struct lane_holder *holder)
{
    grant(pool, lane, holder);
}

void pool_unpin(struct pool *pool, struct lane *lane)
{
    lane->holder = NULL;
    if (lane->role == LANE_DEAD)
        return;
    if (lane->state != LANE_READY || !lane->clean || lane->conn.paused || lane->tunnel || lane->subscriber ||
        request_count(&lane->queue) || lane->delivered || !pool_is_routed(pool)) {
        pool_drop_lane(pool, lane);
    } else {
        lane->used_ms = loop_now_ms(&pool->worker->loop);
        move_lane(pool, lane, LANE_IDLE);
    }
    if (!TAILQ_EMPTY(&pool->waiters))
        pool_serve_soon(pool);
}

static void open_pin(struct pool *pool)
{
    struct lane *lane = add_lane(pool, LANE_PINNED);
    pool->n_opening++;
    lane_open(lane);
}

/* --- waiters --- */

void pool_finish_waiter(struct pool_waiter *waiter, enum pool_outcome outcome)
{
    TAILQ_REMOVE(&waiter->pool->waiters, waiter, link);
    waiter->granted_by = waiter->pool;
    waiter->pool = NULL;
    waiter->done(waiter, outcome);
}

/* A login decides whether the key is good: that of the shared lane, or one more when that lane is open already. */
static void prove(struct pool *pool)
{
    if (pool_shared_lane(pool)->state == LANE_READY && !pool->n_opening)
        open_pin(pool);
}

/* Gives what there is to those who wait, and opens what is missing. */
void pool_serve(struct pool *pool)
{
    struct pool_waiter *waiter, *next;
    struct lane *lane;
    unsigned unserved = 0;

    for (waiter = TAILQ_FIRST(&pool->waiters); waiter; waiter = next) {
        next = TAILQ_NEXT(waiter, link);
        if (!waiter->wants_pin && pool->proven)
            pool_finish_waiter(waiter, POOL_GRANTED);
        else if (!waiter->wants_pin)
            prove(pool);
        else if (TAILQ_FIRST(&pool->idle))
            pool_finish_waiter(waiter, POOL_GRANTED);
        else
            unserved++;
    }
    TAILQ_FOREACH(lane, &pool->shared, link)
    if (request_count(&lane->queue))
        pool_open_if_due(pool, lane);
    while (pool->n_opening < unserved && may_open(pool) && !pool_is_full(pool))
        open_pin(pool);
    if (!TAILQ_EMPTY(&pool->waiters))
        worker_want_tick(pool->worker);
}

void pool_wait(struct pool *pool, struct pool_waiter *waiter, bool wants_pin)
{
    struct worker *worker = pool->worker;

    waiter->pool = pool;
    waiter->wants_pin = wants_pin;
    waiter->until_ms = loop_now_ms(&worker->loop) + (worker->hopeless ? 0 : worker->settings->queue_timeout_ms);
    if (!wants_pin && pool->refusal[0])
        pool->retry_ms = 0; /* the backend is there and gives its verdict again when asked again */
    TAILQ_INSERT_TAIL(&pool->waiters, waiter, link);
    pool_serve_soon(pool);
}

void pool_stop_waiting(struct pool_waiter *waiter)
{
    if (!waiter->pool)
        return;
    TAILQ_REMOVE(&waiter->pool->waiters, waiter, link);
    waiter->pool = NULL;
}

/* --- from lanes --- */

void pool_lane_ready(struct pool *pool, struct lane *lane)
{
    if (!pool->proven || pool->failures)
        log_write(LOG_INFO, "lane ready", LOG_TEXT("backend", pool->key.backend->name), LOG_NUM("db", pool->key.db),
                  LOG_NUM("resp", pool->key.resp), LOG_NUM("lane", lane->serial));
    pool->failures = 0;
    pool->retry_ms = 0;
    pool->proven = true;
    pool->proven_ms = loop_now_ms(&pool->worker->loop);
    pool->proven_acl = atomic_load(&pool->worker->crew->acl_changes);
    pool->refusal[0] = 0;
    if (lane->role == LANE_PINNED) {
        pool->n_opening--;
        lane->used_ms = pool->proven_ms;
        move_lane(pool, lane, LANE_IDLE);
    }
    pool_serve(pool);
}

static uint64_t backoff_ms(struct pool *pool)
{
    unsigned doublings = pool->failures < 8 ? pool->failures : 8;
    uint64_t most = (uint64_t)BACKOFF_FIRST_MS << doublings;

    if (most > BACKOFF_MAX_MS)
        most = BACKOFF_MAX_MS;
    /* Full jitter, so that many proxies do not come back in step. The first attempt after a loss is at once. */
    return pool->failures == 1 ? 0 : worker_random(pool->worker) % (most + 1);
}

static void note_failure(struct pool *pool, const char *reason)
{
    struct backend *backend = pool->key.backend;

    pool->failures++;
    pool->retry_ms = loop_now_ms(&pool->worker->loop) + backoff_ms(pool);
    backend_ask_resolve(backend);
    backend_hint(backend, !strcmp(reason, strerror(ECONNREFUSED)) ? CAUSE_REFUSED : CAUSE_CONNECT);
    if (pool->failures == 1)
        log_write(LOG_WARN, "lane not opened", LOG_TEXT("backend", backend->name), LOG_TEXT("url", backend->redacted),
                  LOG_TEXT("reason", reason));
}

void pool_lane_lost(struct pool *pool, struct lane *lane, bool was_ready, const char *reason)
{
    bool opening_pin = !was_ready && lane->role == LANE_PINNED;

    if (opening_pin)
        pool->n_opening--;
    if (was_ready)
        worker_backend_lost(pool->worker);
    else if (pool_is_routed(pool))
        note_failure(pool, reason);
    if (lane->role != LANE_SHARED && lane->role != LANE_DEAD)
        pool_drop_lane(pool, lane);
    pool_serve_soon(pool);
}

void pool_refused(struct pool *pool, const char *text, enum pool_refusal refusal)
{
    struct pool_waiter *waiter, *next;

    snprintf(pool->refusal, sizeof(pool->refusal), "%s", text);
    pool->proven = false;
    log_write(LOG_WARN, "backend refuses the login", LOG_TEXT("backend", pool->key.backend->name),
              LOG_TEXT("step", refusal == POOL_BAD_LOGIN ? "auth" : "hello or select"), LOG_NUM("db", pool->key.db),
              LOG_NUM("resp", pool->key.resp), LOG_TEXT("reply", text));
    for (waiter = TAILQ_FIRST(&pool->waiters); waiter; waiter = next) {
        next = TAILQ_NEXT(waiter, link);
        if (!waiter->wants_pin)
            pool_finish_waiter(waiter, POOL_REFUSED);
    }
    worker_login_refused(pool->worker, pool, refusal);
}

/* --- another backend --- */

/* The next lane of `list` that must end now; ending it moves it out of the list, or closes it. */
static struct lane *next_to_end(struct lane_list *list, bool alive)
{
    struct lane *lane;

    TAILQ_FOREACH(lane, list, link)
    if (lane->state == LANE_OPENING || (lane->state == LANE_READY && (!alive || lane->role == LANE_SHARED)))
        return lane;
    return NULL;
}

static void end_lanes(struct pool *pool, struct lane_list *list, bool alive, const char *reason)
{
    struct lane *lane;

    while ((lane = next_to_end(list, alive))) {
        if (alive && lane->state == LANE_READY)
            pool_retire(pool, lane);
        else
            lane_fail(lane, reason);
    }
}

void pool_leave_backend(struct pool *pool, bool alive, const char *reason)
{
    drop_all(pool, &pool->idle);
    end_lanes(pool, &pool->busy, alive, reason);
    end_lanes(pool, &pool->shared, alive, reason);
}

void pool_adopt(struct pool *pool, struct lane *lane)
{
    struct pool *before = lane->pool;

    assert(lane->state == LANE_CLOSED && lane->role == LANE_SHARED);
    TAILQ_REMOVE(&before->shared, lane, link);
    before->n_shared--;
    before->n_lanes--;
    lane->pool = pool;
    TAILQ_INSERT_HEAD(&pool->shared, lane, link);
    pool->n_shared++;
    pool->n_lanes++;
    pool_serve_soon(pool);
}

void pool_free(struct pool *pool)
{
    while (!TAILQ_EMPTY(&pool->waiters))
        pool_finish_waiter(TAILQ_FIRST(&pool->waiters), POOL_UNAVAILABLE);
    drop_all(pool, &pool->shared);
    drop_all(pool, &pool->idle);
    drop_all(pool, &pool->busy);
    LIST_REMOVE(pool, link);
    atomic_store(&pool->meter->lanes, 0); /* what other pools have of this backend is counted in a second */
    atomic_store(&pool->meter->inflight, 0);
    atomic_store(&pool->meter->queued, 0);
    hello_finish(&pool->hello);
    backend_unref(pool->key.backend);
    free(pool->key.user);
    free_secret(pool->key.password);
    free(pool);
}
