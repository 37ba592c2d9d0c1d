#include "proxy/flow/census.h"

#include "proxy/flow/client.h"
#include "proxy/flow/pool.h"
#include "proxy/flow/worker.h"
#include "proxy/watch/meter.h"

enum { SILENT_MS = 10000 };

bool census_is_silent(const struct client *client, uint64_t now_ms)
{
    return !client->has_worked && now_ms - client->created_ms > SILENT_MS;
}

void census_count(struct census *census, const struct client *client, uint64_t now_ms)
{
    const struct session *session = &client->session;

    census->pinned += client->pin != NULL;
    census->tx += session->tx_open || session->watching;
    census->pubsub += session_subscriptions(session) > 0;
    census->blocking += client->blocked;
    census->waiting += client->inflight && !client->blocked;
    census->silent += census_is_silent(client, now_ms);
    census->buffered_bytes += client->conn.out.len + conn_kept_input(&client->conn);
}

void census_publish(struct worker *worker, const struct census *census)
{
#define X(name, help) atomic_store_explicit(&worker->census.name, census->name, memory_order_relaxed);
    CENSUS(X)
#undef X
    atomic_store_explicit(&worker->census.buffered_bytes, census->buffered_bytes, memory_order_relaxed);
}

/* Those that were given to a connection, and of those the ones that wait for it to be made. */
static void count_requests(struct backend_meter *meter, const struct lane_list *lanes)
{
    const struct lane *lane;

    TAILQ_FOREACH(lane, lanes, link)
    {
        meter->inflight_counted += request_count(&lane->queue);
        meter->queued_counted += lane->state != LANE_READY ? request_count(&lane->queue) : 0;
    }
}

static void publish(struct backend_meter *meter)
{
    atomic_store_explicit(&meter->lanes, meter->lanes_counted, memory_order_relaxed);
    atomic_store_explicit(&meter->inflight, meter->inflight_counted, memory_order_relaxed);
    atomic_store_explicit(&meter->queued, meter->queued_counted, memory_order_relaxed);
}

/* Several pools may have lanes to one backend. */
void census_of_lanes(struct worker *worker)
{
    struct pool *pool;

    for (pool = LIST_FIRST(&worker->pools); pool; pool = LIST_NEXT(pool, link))
        pool->meter->lanes_counted = pool->meter->inflight_counted = pool->meter->queued_counted = 0;
    for (pool = LIST_FIRST(&worker->pools); pool; pool = LIST_NEXT(pool, link)) {
        pool->meter->lanes_counted += pool->n_lanes;
        count_requests(pool->meter, &pool->shared);
        count_requests(pool->meter, &pool->busy);
    }
    for (pool = LIST_FIRST(&worker->pools); pool; pool = LIST_NEXT(pool, link))
        publish(pool->meter);
}
