#include "proxy/flow/lane.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/pubsub.h"
#include "proxy/flow/pool.h"
#include "proxy/flow/worker.h"
#include "proxy/health/error_words.h"
#include "proxy/net/log.h"
#include "proxy/net/owner.h"
#include "proxy/watch/meter.h"

enum {
    CONGESTED = 1 << 20,
    CONGESTED_PIN = 1 << 18, /* there may be many, and nobody else's requests to fill them */
    LONGEST_MS = 3600 * 1000,
};

/* To whom the reply under way goes; decided at its first bytes. */
enum target { TO_REQUEST, TO_HOLDER, TO_NOBODY };

static size_t on_input(struct conn *conn, const uint8_t *bytes, size_t len);
static void on_eof(struct conn *conn);
static void on_lost(struct conn *conn, const char *reason);
static void on_connected(struct conn *conn);
static void on_drained(struct conn *conn);

static const struct conn_ops lane_conn_ops = {
    .on_input = on_input,
    .on_eof = on_eof,
    .on_lost = on_lost,
    .on_connected = on_connected,
    .on_drained = on_drained,
};

static struct lane *from_conn(struct conn *conn)
{
    return OWNER_OF(conn, struct lane, conn);
}

struct lane *lane_new(struct pool *pool, enum lane_role role)
{
    struct lane *lane = calloc(1, sizeof(*lane));

    if (!lane)
        end_out_of_memory(sizeof(*lane));
    conn_init(&lane->conn, &pool->worker->loop, &lane_conn_ops, LOOP_FLUSH_FIRST);
    lane->pool = pool;
    lane->role = role;
    lane->serial = ++pool->worker->lane_serial;
    TAILQ_INIT(&lane->waiters);
    return lane;
}

static void free_lane(struct reapable *reapable)
{
    struct lane *lane = OWNER_OF(reapable, struct lane, reapable);
    request_queue_finish(&lane->queue);
    free(lane);
}

static void reap_if_unused(struct lane *lane)
{
    if (lane->role != LANE_DEAD || lane->refs)
        return;
    lane->reapable.free = free_lane;
    loop_reap(&lane->pool->worker->loop, &lane->reapable);
}

void lane_ref(struct lane *lane)
{
    lane->refs++;
}

void lane_unref(struct lane *lane)
{
    if (!lane)
        return;
    lane->refs--;
    reap_if_unused(lane);
}

void lane_wake_waiters(struct lane *lane)
{
    struct lane_waiter *waiter;
    while ((waiter = TAILQ_FIRST(&lane->waiters))) {
        TAILQ_REMOVE(&lane->waiters, waiter, link);
        waiter->wake(waiter);
    }
}

void lane_bury(struct lane *lane)
{
    lane_ref(lane); /* those who are told below may let go of theirs */
    conn_close(&lane->conn);
    buf_clear(&lane->pool->worker->loop.pool, &lane->pending);
    lane->state = LANE_CLOSED;
    lane->role = LANE_DEAD;
    while (request_count(&lane->queue))
        lane_lose_oldest(lane, REQUEST_UNKNOWN);
    lane_wake_waiters(lane);
    lane_unref(lane);
}

void lane_open(struct lane *lane)
{
    struct worker *worker = lane->pool->worker;
    struct backend *backend = lane->pool->key.backend;
    struct backend_addresses *addresses = atomic_load(&backend->addresses);
    unsigned turn = lane->pool->failures;

    assert(lane->state == LANE_CLOSED);
    lane->state = LANE_OPENING;
    lane->opening_until_ms = loop_now_ms(&worker->loop) + backend->connect_timeout_ms;
    lane->delivered = 0;
    reply_scan_reset(&lane->scan);
    worker_want_tick(worker);
    if (!addresses || !addresses->count) {
        lane_fail(lane, "backend name is not resolved");
        return;
    }
    lane->conn.traffic = &lane->pool->meter->traffic;
    backend_use_tls(backend, &lane->conn);
    const struct sockaddr *address = (const struct sockaddr *)&addresses->at[turn % addresses->count].address;
    if (!conn_connect(&lane->conn, address, addresses->at[turn % addresses->count].len))
        lane_fail(lane, strerror(errno));
}

static void on_connected(struct conn *conn)
{
    struct lane *lane = from_conn(conn);

    if (conn->tls)
        backend_note_handshake(lane->pool->key.backend, &lane->pool->meter->handshakes, conn->tls);
    login_start(lane);
}

static size_t congestion(const struct lane *lane)
{
    return lane->role == LANE_PINNED ? CONGESTED_PIN : CONGESTED;
}

void lane_login_done(struct lane *lane)
{
    struct conn *conn = &lane->conn;

    lane->state = LANE_READY;
    lane->clean = true;
    lane->name[0] = 0;
    lane->base = lane->given - lane->pending.len - conn->written - conn->out.len;
    conn_write_buf(conn, &lane->pending);
    if (!lane_is_congested(lane)) /* who waits for the connection may be all there is: no write would tell them */
        lane_wake_waiters(lane);
    else if (!TAILQ_EMPTY(&lane->waiters)) /* connecting forgot about them */
        conn_notify_drained(conn, congestion(lane) / 2);
    /* command_timeout is the backend's time, and starts now. */
    for (uint32_t i = 0; i < request_count(&lane->queue); i++)
        request_at(&lane->queue, i)->sent_ms = (uint32_t)loop_now_ms(&lane->pool->worker->loop);
    count(lane->pool->worker, lanes_opened);
    counter_add(&lane->pool->meter->opened, 1);
    pool_lane_ready(lane->pool, lane);
}

struct request *lane_send(struct lane *lane, struct requester *owner, uint8_t kind, const void *bytes, size_t len)
{
    struct request *request = request_push(&lane->queue);
    struct worker *worker = lane->pool->worker;

    request->owner = owner;
    request->kind = kind;
    request->start = lane->given;
    request->sent_ms = (uint32_t)loop_now_ms(&worker->loop);
    request->given_us = loop_now_us(&worker->loop);
    lane_send_more(lane, bytes, len);
    if (!worker->tick_armed)
        worker_want_tick(worker); /* requests in flight have deadlines */
    return request_at(&lane->queue, request_count(&lane->queue) - 1);
}

struct request *lane_send_in_run(struct lane *lane, const struct requester *owner, bool muted, const void *bytes,
                                 size_t len)
{
    struct request *newest;

    if (!request_count(&lane->queue))
        return NULL;
    newest = request_at(&lane->queue, request_count(&lane->queue) - 1);
    if (!newest->run || newest->owner != owner || newest->muted != muted || newest->dropped)
        return NULL;
    newest->replies++;
    lane_send_more(lane, bytes, len);
    return newest;
}

void lane_send_more(struct lane *lane, const void *bytes, size_t len)
{
    lane->given += len;
    if (lane->state == LANE_READY)
        conn_write(&lane->conn, bytes, len);
    else
        buf_append(&lane->pool->worker->loop.pool, &lane->pending, bytes, len);
}

static void ignore_reply(struct requester *owner, struct lane *lane, struct request *request, const uint8_t *bytes,
                         size_t len, bool last)
{
    (void)owner, (void)lane, (void)request, (void)bytes, (void)len, (void)last;
}

static void ignore_loss(struct requester *owner, struct lane *lane, struct request *request, enum request_loss loss)
{
    (void)owner, (void)lane, (void)request, (void)loss;
}

void lane_send_silent(struct lane *lane, const void *bytes, size_t len)
{
    static const struct requester_ops ops = {.on_reply = ignore_reply, .on_lost = ignore_loss};
    static struct requester nobody = {.ops = &ops};
    lane_send(lane, &nobody, 0, bytes, len);
}

bool lane_is_congested(const struct lane *lane)
{
    return lane->conn.out.len + lane->pending.len > congestion(lane);
}

void lane_wait(struct lane *lane, struct lane_waiter *waiter)
{
    TAILQ_INSERT_TAIL(&lane->waiters, waiter, link);
    conn_notify_drained(&lane->conn, congestion(lane) / 2);
}

void lane_stop_waiting(struct lane *lane, struct lane_waiter *waiter)
{
    TAILQ_REMOVE(&lane->waiters, waiter, link);
}

static void on_drained(struct conn *conn)
{
    lane_wake_waiters(from_conn(conn));
}

/* --- replies --- */

static enum target choose_target(struct lane *lane, const uint8_t *bytes, size_t len)
{
    bool is_push = lane->scan.type == '>';
    bool awaited = request_count(&lane->queue) && request_oldest(&lane->queue)->confirms;
    struct pubsub_element element;

    if (!is_push && !(lane->subscriber && lane->scan.type == '*'))
        return TO_REQUEST;
    element = pubsub_classify(bytes, len);
    if (element.kind == PUBSUB_OTHER && !is_push)
        return TO_REQUEST;
    if (element.kind != PUBSUB_OTHER && element.kind != PUBSUB_MESSAGE && awaited)
        return TO_REQUEST;
    return lane->holder ? TO_HOLDER : TO_NOBODY;
}

/* Counts it; what it says of the backend rather than of the command is worth a check at once. */
static void note_error(struct lane *lane, const uint8_t *bytes, size_t len)
{
    enum health_cause cause = error_words(bytes, len);
    unsigned class = request_oldest(&lane->queue)->class;

    counter_add(&lane->pool->worker->errors[ERROR_OF_BACKEND][class][error_code_of(bytes, len)], 1);
    if (cause != CAUSE_NONE && cause != CAUSE_AUTH && cause != CAUSE_BUSY)
        backend_hint(lane->pool->key.backend, cause);
}

/* Microseconds are kept in 32 bits, which go round in an hour. */
static void find_cell(struct worker *worker, const struct request *request, uint32_t us)
{
    worker->noted_us = us;
    if ((uint32_t)worker->loop.now_ms - request->sent_ms > LONGEST_MS)
        us = UINT32_MAX;
    worker->noted_cell = histogram_cell(us);
}

/*
 * What was given in one turn and answered in one turn took equally long, so the cell is looked up once for all of it.
 * Runs do not count: they are of a client that does not read, and how long it takes says nothing of anybody else.
 */
static void note_latency(struct lane *lane, struct request *request)
{
    struct worker *worker = lane->pool->worker;
    uint32_t us = loop_now_us(&worker->loop) - request->given_us;

    request->slow = us >= worker->settings->slow_us && request->class != REQUEST_CLASS_blocking;
    if (us != worker->noted_us)
        find_cell(worker, request, us);
    histogram_add(&worker->latency[request->class], worker->noted_cell, us);
    histogram_add(&lane->pool->meter->latency, worker->noted_cell, us);
}

static void deliver_to_request(struct lane *lane, const uint8_t *bytes, size_t len, bool last)
{
    struct request *oldest = request_oldest(&lane->queue);

    oldest->type = lane->scan.type;
    if (oldest->type == '-' && !oldest->begun)
        note_error(lane, bytes, len);
    if (!last) {
        if (!oldest->dropped)
            oldest->owner->ops->on_reply(oldest->owner, lane, oldest, bytes, len, false);
        oldest->begun = true;
        return;
    }
    /* An error ends what would have been several confirmations. */
    if ((oldest->type == '-' && !oldest->run) || oldest->replies <= 1)
        oldest->replies = 0;
    else
        oldest->replies--;
    struct request request = *oldest;
    oldest->begun = false;
    if (!request.replies)
        request_pop(&lane->queue);
    if (request.class && !request.replies && !request.run)
        note_latency(lane, &request);
    if (!request.dropped)
        request.owner->ops->on_reply(request.owner, lane, &request, bytes, len, true);
    else
        count(lane->pool->worker, tombstones);
    if (lane->role == LANE_DIVERTED && !request_count(&lane->queue))
        pool_lane_drained(lane->pool, lane);
}

/* A reply can only be to a request of which the kernel has taken something. */
static bool is_awaited(const struct lane *lane)
{
    return request_count(&lane->queue) && request_oldest(&lane->queue)->start < lane->base + lane->conn.written;
}

/* False when the lane was closed. */
static bool deliver(struct lane *lane, const uint8_t *bytes, size_t len, bool last)
{
    struct worker *worker = lane->pool->worker;

    if (!lane->delivered)
        lane->target = (uint8_t)choose_target(lane, bytes, len);
    if (lane->state == LANE_OPENING && lane->target != TO_NOBODY) {
        if (!last)
            lane_fail(lane, "login reply is too long");
        else
            login_on_reply(lane, bytes, len);
        return conn_is_open(&lane->conn);
    }
    switch ((enum target)lane->target) {
    case TO_HOLDER:
        lane->holder->ops->on_message(lane->holder, lane, bytes, len, last);
        break;
    case TO_NOBODY:
        if (last)
            count(worker, stray_pushes);
        break;
    case TO_REQUEST:
        if (!is_awaited(lane)) {
            count(worker, stray_replies);
            lane_fail(lane, "stray reply");
            break;
        }
        deliver_to_request(lane, bytes, len, last);
        break;
    }
    return conn_is_open(&lane->conn);
}

static size_t pass_tunnel(struct lane *lane, const uint8_t *bytes, size_t len)
{
    if (len)
        lane->holder->ops->on_message(lane->holder, lane, bytes, len, true);
    return len;
}

static size_t on_input(struct conn *conn, const uint8_t *bytes, size_t len)
{
    struct lane *lane = from_conn(conn);
    size_t used = 0;

    while (used < len && !conn->paused && conn_is_open(conn)) {
        if (lane->tunnel)
            return used + pass_tunnel(lane, bytes + used, len - used);
        /* A reply that fits a block is handed on whole; a longer one as it comes. */
        size_t scanned = (size_t)(lane->scan.pos - lane->delivered);
        enum resp_status status =
            reply_scan(&lane->scan, bytes + used + scanned, len - used - scanned, &reply_limits_default);
        size_t n = (size_t)(lane->scan.pos - lane->delivered);

        if (status == RESP_ERROR) {
            lane_fail(lane, "unparsable reply");
            return len;
        }
        if (status == RESP_MORE && (len - used < BLOCK_LARGE || !n))
            break;
        if (!deliver(lane, bytes + used, n, status == RESP_DONE))
            return len;
        used += n;
        if (status == RESP_MORE) {
            lane->delivered = lane->scan.pos;
            break;
        }
        lane->delivered = 0;
        reply_scan_reset(&lane->scan);
    }
    return used;
}

/* --- loss --- */

static void on_eof(struct conn *conn)
{
    lane_fail(from_conn(conn), "closed by the backend");
}

static void on_lost(struct conn *conn, const char *reason)
{
    lane_fail(from_conn(conn), reason);
}
