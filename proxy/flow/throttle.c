/*
 * Clients that do not read. Replies are written as they come; what the kernel does not take is held for the client up
 * to reply_buffer, then where they come from stops:
 *
 *   a pinned lane    is not read any further; the backend holds the rest, as it would without a proxy
 *   a shared lane    becomes the client's own, when nobody else waits for a reply on it, and that is that. Else it is
 *                    diverted, so that new requests of others take another one, and reply_buffer_max is held before it
 *                    stops. Those who were behind already must get on: a client that keeps them waiting for a second in
 *                    all is closed, unless it reads at a decent pace
 *   answers from here  the client's next command waits
 *
 * A client that takes nothing of what is held for slow_client_timeout is closed in any case.
 */
#include "proxy/flow/client.h"
#include "proxy/net/log.h"

enum {
    PATIENCE_WITH_OTHERS_MS = 750,
    DECENT_BYTES_PER_MS = 32768, /* 32 MiB a second */
};

/* Whether a request of somebody else than the client is queued. */
static bool serves_others(const struct lane *lane, const struct client *client)
{
    for (uint32_t i = 0; i < request_count(&lane->queue); i++)
        if (request_at(&lane->queue, i)->owner != &client->requester)
            return true;
    return false;
}

static void start_clock(struct client *client)
{
    if (client->throttled)
        return;
    client->throttled = true;
    client->throttled_ms = loop_now_ms(&client->worker->loop);
    conn_notify_drained(&client->conn, client->worker->settings->reply_buffer / 2);
    TAILQ_INSERT_TAIL(&client->worker->throttling, client, throttling);
    worker_want_tick(client->worker);
}

/* The client may go on asking, at its own expense and the backend's. */
static void go_on_aside(struct client *client, struct lane *lane)
{
    bool was_shared = lane != client->pin;

    if (was_shared && client->pin)
        return;
    if (was_shared) {
        pool_pin_shared(lane->pool, lane, &client->holder);
        client->pin = lane;
        client_leave_lane(client);
    }
    client->session.overflow = true;
    if (client->gate == GATE_DEPTH || (was_shared && client->gate == GATE_DRAIN))
        client_open_gate(client);
}

void throttle_lane(struct client *client, struct lane *lane)
{
    const struct settings *settings = client->worker->settings;
    bool others = serves_others(lane, client);

    conn_flush(&client->conn);
    if (client->state != CLIENT_OPEN || client->throttles)
        return;
    if (lane->pool != client->pool) /* a borrowed connection, for one short reply; nothing else may follow on it */
        return;
    if (client->conn.out.len <= (others ? settings->reply_buffer_max : settings->reply_buffer))
        return;
    conn_pause(&lane->conn);
    lane_ref(lane);
    client->throttles = lane;
    start_clock(client);
    if (others)
        pool_divert(lane->pool, lane);
    else
        go_on_aside(client, lane);
}

void throttle_answers(struct client *client)
{
    if (client->conn.out.len <= client->worker->settings->reply_buffer)
        return;
    client_shut(client, GATE_READ);
    start_clock(client);
}

void throttle_end(struct client *client)
{
    struct lane *lane = client->throttles;

    if (!client->throttled)
        return;
    client->throttled = false;
    TAILQ_REMOVE(&client->worker->throttling, client, throttling);
    if (!lane)
        return;
    client->throttles = NULL;
    lane->held_up_ms += loop_now_ms(&client->worker->loop) - client->throttled_ms;
    conn_resume(&lane->conn);
    lane_unref(lane);
}

static bool is_too_slow(const struct client *client, uint64_t now_ms)
{
    uint64_t waited_ms = now_ms - client->throttled_ms;
    const struct lane *lane = client->throttles;

    if (waited_ms >= client->worker->settings->slow_client_timeout_ms)
        return true;
    if (!lane || !serves_others(lane, client))
        return false;
    /* Who keeps a decent pace through a large reply gets it whole, and those behind it get theirs soon. */
    uint64_t earned_ms = (lane->conn.received - lane->held_up_from) / DECENT_BYTES_PER_MS;
    return lane->held_up_ms + waited_ms >= PATIENCE_WITH_OTHERS_MS + earned_ms;
}

void throttle_tick(struct worker *worker, uint64_t now_ms)
{
    struct client *client, *next;

    for (client = TAILQ_FIRST(&worker->throttling); client; client = next) {
        next = TAILQ_NEXT(client, throttling);
        if (!is_too_slow(client, now_ms))
            continue;
        count(worker, clients_slow);
        log_write(LOG_WARN, "client closed", LOG_NUM("client", client->id),
                  LOG_TEXT("reason", "does not read its replies"), LOG_NUM("unread", client->conn.out.len));
        client_close(client, "does not read its replies");
    }
    if (!TAILQ_EMPTY(&worker->throttling))
        worker_want_tick(worker);
}
