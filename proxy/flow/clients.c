/* All clients of a worker: its clocks, its drain. */
#include "proxy/flow/client.h"
#include "proxy/flow/limit.h"
#include "proxy/flow/roll.h"
#include "proxy/net/log.h"

struct client *client_find(const struct worker *worker, uint64_t id)
{
    struct client *client;

    TAILQ_FOREACH(client, &worker->clients, link)
    if (client->id == id)
        return client;
    return NULL;
}

void clients_tick(struct worker *worker, uint64_t now_ms)
{
    throttle_tick(worker, now_ms);
}

static const char *overdue(const struct client *client, uint64_t now_ms)
{
    const struct settings *settings = client->worker->settings;

    if (settings->login_timeout_ms && !client->authenticated &&
        now_ms - client->created_ms > settings->login_timeout_ms)
        return "login timeout";
    if (settings->idle_timeout_ms && !client->inflight && !client->pin && !client->wait &&
        now_ms - client->active_ms > settings->idle_timeout_ms)
        return "idle timeout";
    if (client->blocked && !client->conn.armed_read && conn_peer_is_gone(&client->conn))
        return "client closed its side";
    if (client->state == CLIENT_FINISHING && now_ms - client->throttled_ms > settings->slow_client_timeout_ms)
        return "does not read its last replies";
    return NULL;
}

void clients_second(struct worker *worker, uint64_t now_ms)
{
    struct client *client, *next;
    struct census census = {0};

    roll_begin(worker->roll, now_ms);

    for (client = TAILQ_FIRST(&worker->clients); client; client = next) {
        const char *reason = overdue(client, now_ms);
        next = TAILQ_NEXT(client, link);
        if (!reason) {
            census_count(&census, client, now_ms);
            roll_add(worker->roll, client, now_ms);
            continue;
        }
        if (!client->authenticated)
            count(worker, clients_login_timeout);
        client_close(client, reason);
    }
    census_publish(worker, &census);
    roll_publish(worker->roll);
}

void clients_drain(struct worker *worker)
{
    struct client *client, *next;

    limit_wait_drain(worker->limiter);
    for (client = TAILQ_FIRST(&worker->clients); client; client = next) {
        next = TAILQ_NEXT(client, link);
        if (!client->inflight && client->gate == GATE_OPEN && !conn_kept_input(&client->conn))
            client_finish(client, "draining");
    }
}

void clients_close_all(struct worker *worker, const char *reason)
{
    while (!TAILQ_EMPTY(&worker->clients))
        client_close(TAILQ_FIRST(&worker->clients), reason);
}

void clients_leave_pool(struct worker *worker, struct pool *pool, const char *reason)
{
    struct client *client, *next;

    for (client = TAILQ_FIRST(&worker->clients); client; client = next) {
        next = TAILQ_NEXT(client, link);
        if (client->pool == pool)
            client_close(client, reason);
    }
}
