/* Requests that get no reply: they are given up one by one, so that the others of the lane live on. */
#include "proxy/flow/lane.h"
#include "proxy/flow/pool.h"
#include "proxy/flow/worker.h"
#include "proxy/watch/meter.h"

enum { TIMEOUTS_TO_GIVE_UP = 5 }; /* a reply that is later than so many command_timeouts will not come */

void lane_lose_oldest(struct lane *lane, enum request_loss loss)
{
    struct request request = *request_oldest(&lane->queue);

    request_pop(&lane->queue);
    counter_add(&lane->pool->meter->unanswered, loss != REQUEST_UNSENT && !request.dropped);
    if (!request.dropped)
        request.owner->ops->on_lost(request.owner, lane, &request, loss);
}

static bool is_older(const struct request *request, uint64_t now_ms, uint64_t timeout_ms)
{
    return (uint32_t)now_ms - request->sent_ms >= timeout_ms;
}

void lane_expire_unsent(struct lane *lane, uint64_t now_ms, uint64_t timeout_ms)
{
    while (request_count(&lane->queue) && is_older(request_oldest(&lane->queue), now_ms, timeout_ms)) {
        uint64_t start = request_oldest(&lane->queue)->start;
        uint64_t end = request_count(&lane->queue) > 1 ? request_at(&lane->queue, 1)->start : lane->given;

        buf_consume(&lane->pool->worker->loop.pool, &lane->pending, (size_t)(end - start));
        lane_lose_oldest(lane, REQUEST_UNSENT);
    }
    if (!lane_is_congested(lane))
        lane_wake_waiters(lane);
}

bool lane_is_silent(struct lane *lane, uint64_t now_ms, uint64_t threshold_ms)
{
    if (lane->state != LANE_READY || lane->conn.paused || !request_count(&lane->queue))
        return false;
    if (lane->conn.received != lane->heard_at) {
        lane->heard_at = lane->conn.received;
        lane->heard_ms = now_ms;
    }
    return now_ms - lane->heard_ms >= threshold_ms && is_older(request_oldest(&lane->queue), now_ms, threshold_ms);
}

void lane_expire_sent(struct lane *lane, uint64_t now_ms, uint64_t timeout_ms)
{
    if (request_count(&lane->queue) &&
        is_older(request_oldest(&lane->queue), now_ms, TIMEOUTS_TO_GIVE_UP * timeout_ms)) {
        lane_fail(lane, "no reply for several command timeouts");
        return;
    }
    for (uint32_t i = 0; i < request_count(&lane->queue); i++) {
        struct request *request = request_at(&lane->queue, i);
        if (!is_older(request, now_ms, timeout_ms))
            return;
        if (request->dropped)
            continue;
        request->dropped = true;
        counter_add(&lane->pool->meter->unanswered, 1);
        struct request copy = *request;
        copy.owner->ops->on_lost(copy.owner, lane, &copy, REQUEST_TIMEOUT);
    }
}
