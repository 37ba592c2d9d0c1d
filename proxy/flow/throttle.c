/*
 * Clients that do not read. Replies are written as they come; what the kernel does not take is held for the client up
 * to reply_buffer, then the lane it comes from is not read any further:
 *
 *   a pinned lane    stops; the backend holds the rest, as it would without a proxy
 *   a shared lane    is diverted, so that new requests of others take another one, and stops. While requests of others
 *                    wait behind the reply, reply_buffer_max is held before it stops, and after a second the client
 * that does not read is closed, so that the others get on.
 *
 * A client that takes nothing of what is held for slow_client_timeout is closed in any case.
 */
#include "proxy/flow/client.h"
#include "proxy/net/log.h"

enum { PATIENCE_WITH_OTHERS_MS = 1000 };

void throttle_lane(struct client *client, struct lane *lane)
{
    const struct settings *settings = client->worker->settings;
    bool others = lane_serves_others(lane, &client->requester);

    conn_flush(&client->conn);
    if (client->state != CLIENT_OPEN || client->throttles)
        return;
    if (client->conn.out.len <= (others ? settings->reply_buffer_max : settings->reply_buffer))
        return;
    pool_divert(lane->pool, lane);
    conn_pause(&lane->conn);
    lane_ref(lane);
    client->throttles = lane;
    client->throttled_ms = loop_now_ms(&client->worker->loop);
    conn_notify_drained(&client->conn, settings->reply_buffer / 2);
    TAILQ_INSERT_TAIL(&client->worker->throttling, client, throttling);
    worker_want_tick(client->worker);
}

void throttle_end(struct client *client)
{
    struct lane *lane = client->throttles;

    if (!lane)
        return;
    client->throttles = NULL;
    TAILQ_REMOVE(&client->worker->throttling, client, throttling);
    conn_resume(&lane->conn);
    lane_unref(lane);
}

void throttle_tick(struct worker *worker, uint64_t now_ms)
{
    struct client *client, *next;

    for (client = TAILQ_FIRST(&worker->throttling); client; client = next) {
        uint64_t patience = worker->settings->slow_client_timeout_ms;

        next = TAILQ_NEXT(client, throttling);
        if (patience > PATIENCE_WITH_OTHERS_MS && lane_serves_others(client->throttles, &client->requester))
            patience = PATIENCE_WITH_OTHERS_MS;
        if (now_ms - client->throttled_ms < patience)
            continue;
        count(worker, clients_slow);
        log_write(LOG_WARN, "client closed", LOG_NUM("client", client->id),
                  LOG_TEXT("reason", "does not read its replies"), LOG_NUM("unread", client->conn.out.len));
        client_close(client, "does not read its replies");
    }
    if (!TAILQ_EMPTY(&worker->throttling))
        worker_want_tick(worker);
}
