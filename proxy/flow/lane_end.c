/* The end of a connection: what was in flight is told, what was not begun to be sent waits for the next one. */
#include <stdatomic.h>

#include "proxy/flow/lane.h"
#include "proxy/flow/pool.h"
#include "proxy/flow/worker.h"
#include "proxy/net/log.h"
#include "proxy/watch/meter.h"

/* Not begun to be sent, and nobody was told that it is lost. */
static bool is_resendable(const struct request *request, uint64_t sent)
{
    return request->start >= sent && !request->dropped;
}

/* How many requests at the end of the queue were not begun to be sent; their bytes become `pending` again. */
static uint32_t keep_unsent(struct lane *lane, bool was_ready)
{
    struct block_pool *blocks = &lane->pool->worker->loop.pool;
    uint64_t sent = was_ready ? lane->base + lane->conn.written : lane->given - lane->pending.len;
    uint32_t all = request_count(&lane->queue), unsent = 0;
    struct buf rest = {0};

    if (lane->role != LANE_SHARED)
        return 0;
    while (unsent < all && is_resendable(request_at(&lane->queue, all - 1 - unsent), sent))
        unsent++;
    while (unsent && request_at(&lane->queue, all - unsent)->joined)
        unsent--;
    if (!was_ready)
        return unsent;
    buf_move(&rest, &lane->conn.out);
    if (unsent) {
        uint64_t first = request_at(&lane->queue, all - unsent)->start;
        buf_consume(blocks, &rest, (size_t)(first - sent));
        buf_move(&lane->pending, &rest);
    }
    buf_clear(blocks, &rest);
    return unsent;
}

/* What a connection was at that was never ready. */
static enum connect_step step_of(const struct lane *lane)
{
    if (!atomic_load(&lane->pool->key.backend->addresses))
        return CONNECT_dns;
    if (!conn_is_open(&lane->conn)) /* not even begun */
        return CONNECT_tcp;
    if (lane->conn.connecting)
        return lane->conn.handshaking ? CONNECT_tls : CONNECT_tcp;
    return (enum connect_step)(CONNECT_auth + lane->login.step);
}

static void count_end(struct lane *lane)
{
    struct backend_meter *meter = lane->pool->meter;
    struct counters *counters = &lane->pool->worker->counters;

    if (lane->state == LANE_READY) {
        counter_add(&counters->lanes_lost, 1);
        counter_add(&meter->lost, 1);
    } else {
        enum connect_step step = step_of(lane);
        counter_add(&counters->lanes_failed, 1);
        counter_add(&meter->failed[step], 1);
        counter_add(&meter->handshakes.failed, step == CONNECT_tls);
    }
}

static void end(struct lane *lane, const char *reason, bool on_purpose)
{
    struct pool *pool = lane->pool;
    bool was_ready = lane->state == LANE_READY;
    struct lane_holder *holder;
    uint32_t lost;

    if (lane->state == LANE_CLOSED)
        return;
    lost = request_count(&lane->queue) - keep_unsent(lane, was_ready);
    bool at_eof = lane->conn.at_eof;
    if (!on_purpose)
        count_end(lane);
    conn_close(&lane->conn);
    lane->state = LANE_CLOSED;
    lane->subscriber = false;
    if (!on_purpose && was_ready)
        backend_hint(pool->key.backend, CAUSE_LOST);
    /* An idle connection that the backend closes is daily life; all else is worth a look. */
    bool daily = on_purpose || !was_ready || (!lost && at_eof);
    log_write(daily ? LOG_DEBUG : LOG_WARN, "lane lost", LOG_NUM("lane", lane->serial),
              LOG_TEXT("backend", pool->key.backend->name), LOG_TEXT("reason", reason), LOG_NUM("in_flight", lost));
    lane_ref(lane);
    for (; lost; lost--)
        lane_lose_oldest(lane, REQUEST_UNKNOWN);
    holder = lane->holder; /* it may have let go just now */
    if (holder) {
        lane->holder = NULL;
        holder->ops->on_lane_lost(holder, lane, reason);
    }
    lane->tunnel = false; /* not before its holder has been told, to whom a tunnel matters */
    lane_wake_waiters(lane);
    pool_lane_lost(pool, lane, was_ready, reason);
    lane_unref(lane);
}

void lane_fail(struct lane *lane, const char *reason)
{
    end(lane, reason, false);
}

void lane_drop(struct lane *lane, const char *reason)
{
    lane->holder = NULL;
    end(lane, reason, true);
}
