/* What time does to a pool: deadlines of openings, requests and waiters, and lanes that nobody uses any more. */
#include "proxy/flow/pool.h"
#include "proxy/flow/worker.h"

static void fail_late_openings(struct lane_list *list, uint64_t now_ms)
{
    struct lane *lane, *next;

    for (lane = TAILQ_FIRST(list); lane; lane = next) {
        next = TAILQ_NEXT(lane, link);
        if (lane->state == LANE_OPENING && now_ms >= lane->opening_until_ms)
            lane_fail(lane, lane->conn.connecting ? "connect timed out" : "login timed out");
    }
}

static void expire_waiters(struct pool *pool, uint64_t now_ms)
{
    struct pool_waiter *waiter, *next;
    bool full = !TAILQ_EMPTY(&pool->waiters) && pool_is_full(pool);
    bool in_vain = pool->failures || (!pool_is_routed(pool) && worker_has_verdict(pool->worker));

    for (waiter = TAILQ_FIRST(&pool->waiters); waiter; waiter = next) {
        next = TAILQ_NEXT(waiter, link);
        /* While the first attempt is under way nobody knows whether the backend is away. */
        if (now_ms >= waiter->until_ms && (in_vain || full))
            pool_finish_waiter(waiter, waiter->wants_pin && full ? POOL_FULL : POOL_UNAVAILABLE);
    }
}

static void expire_requests(struct pool *pool, struct lane *lane, uint64_t now_ms)
{
    const struct worker *worker = pool->worker;
    uint64_t timeout_ms = pool->key.backend->command_timeout_ms;

    if (lane->state == LANE_READY && timeout_ms)
        lane_expire_sent(lane, now_ms, timeout_ms);
    if (lane->state != LANE_READY && (pool_is_routed(pool) ? pool->failures > 0 : worker_has_verdict(worker)))
        lane_expire_unsent(lane, now_ms, worker->hopeless ? 0 : worker->settings->queue_timeout_ms);
}

/* What was sent on a lane before it was taken out of sharing keeps its deadline, but for what waits behind a client
 * that reads slowly: that is not the backend's time. True when there is any. */
static bool expire_diverted(struct pool *pool, uint64_t now_ms)
{
    struct lane *lane, *next;
    bool again = false;

    for (lane = TAILQ_FIRST(&pool->busy); lane; lane = next) {
        next = TAILQ_NEXT(lane, link);
        if (lane->role != LANE_DIVERTED || !request_count(&lane->queue))
            continue;
        again = true;
        if (!lane->conn.paused && !request_oldest(&lane->queue)->begun)
            expire_requests(pool, lane, now_ms);
    }
    return again;
}

bool pool_tick(struct pool *pool, uint64_t now_ms)
{
    struct lane *lane, *next;
    bool again = expire_diverted(pool, now_ms);

    fail_late_openings(&pool->shared, now_ms);
    fail_late_openings(&pool->busy, now_ms);
    for (lane = TAILQ_FIRST(&pool->shared); lane; lane = next) {
        next = TAILQ_NEXT(lane, link);
        expire_requests(pool, lane, now_ms);
        if (lane_is_silent(lane, now_ms, pool->worker->settings->hang_threshold_ms))
            backend_hint(pool->key.backend, CAUSE_SLOW);
        if ((request_count(&lane->queue) || !TAILQ_EMPTY(&lane->waiters)) && lane->state == LANE_CLOSED)
            pool_open_if_due(pool, lane);
        if (lane->state != LANE_READY) /* limiter commands do not queue there, but their time passes, too */
            lane_wake_waiters(lane);
        again |= lane->state == LANE_OPENING || request_count(&lane->queue) || !TAILQ_EMPTY(&lane->waiters);
    }
    expire_waiters(pool, now_ms);
    pool_serve(pool);
    return again || pool->n_opening || !TAILQ_EMPTY(&pool->waiters);
}

static bool is_unused(const struct lane *lane, uint64_t now_ms)
{
    uint64_t timeout_ms = lane->pool->key.backend->idle_timeout_ms;

    return timeout_ms && now_ms - lane->used_ms > timeout_ms;
}

/* Replies to users prove that the backend answers: where checks cost money, they take the place of those. */
static void note_replies(struct pool *pool)
{
    struct lane *lane;

    TAILQ_FOREACH(lane, &pool->shared, link)
    if (lane->state == LANE_READY && lane->conn.received != lane->received_then) {
        lane->received_then = lane->conn.received;
        atomic_store_explicit(&pool->key.backend->replies, 1, memory_order_relaxed);
    }
}

/*
 * A backend that a reload took out is not checked any more: what it still owes is not waited for without end. That is
 * also true of a client's own lane, but only once the client is about to leave it.
 */
static void give_up_silent(struct pool *pool, uint64_t now_ms)
{
    uint64_t timeout_ms = pool->worker->settings->drain_timeout_ms;
    bool is_left = pool->key.backend != pool->worker->backend;
    struct lane *lane, *next;

    for (lane = TAILQ_FIRST(&pool->busy); lane; lane = next) {
        next = TAILQ_NEXT(lane, link);
        if ((lane->role == LANE_DIVERTED || is_left) && lane_is_silent(lane, now_ms, timeout_ms))
            lane_fail(lane, "no reply from a backend that is not in use any more");
    }
}

bool pool_tidy(struct pool *pool, uint64_t now_ms)
{
    struct lane *lane, *next;

    note_replies(pool);
    if (!pool_is_routed(pool))
        give_up_silent(pool, now_ms);
    for (lane = TAILQ_FIRST(&pool->idle); lane; lane = next) {
        next = TAILQ_NEXT(lane, link);
        if (is_unused(lane, now_ms))
            pool_drop_lane(pool, lane);
    }
    if (pool->n_clients || pool == pool->worker->home || !TAILQ_EMPTY(&pool->waiters))
        return false;
    for (lane = TAILQ_FIRST(&pool->shared); lane; lane = next) {
        next = TAILQ_NEXT(lane, link);
        if (!request_count(&lane->queue) && lane->state != LANE_OPENING &&
            (!pool_is_routed(pool) || is_unused(lane, now_ms)))
            pool_drop_lane(pool, lane);
    }
    if (pool->n_lanes || pool->serve_due)
        return false; /* it may still be in the loop's list */
    pool_free(pool);
    return true;
}
