#include "proxy/flow/switch.h"

#include <string.h>

#include "proxy/flow/client.h"
#include "proxy/flow/foreign.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/repairer.h"
#include "proxy/flow/script_cache.h"
#include "proxy/health/snapshot.h"
#include "proxy/net/log.h"

static const char reason[] = "its backend is not in use any more";

/* The pool of the same session on the worker's backend of now. */
static struct pool *pool_there(const struct client *client)
{
    const struct worker *worker = client->worker;
    struct lane_key key = client->pool->key;
    const struct redis_url *to = &worker->backend->url;

    if (!key.db_chosen)
        key.db = to->db;
    if (worker->settings->auth != AUTH_BACKEND) {
        key.user = to->user;
        key.password = to->password;
    }
    key.backend = worker->backend;
    return pool_get(client->worker, &key);
}

/* What clients of `worker` may have seen on `from` is not what they would see now. */
static bool is_other_data(const struct worker *worker, const struct backend *from)
{
    return worker->was_usable && strcmp(from->dataset, worker->backend->dataset) != 0;
}

/* All its requests in flight wait unsent on a lane that has no connection. */
static bool is_unsent(const struct client *client)
{
    return client->lane && client->lane->role == LANE_SHARED && client->lane->state == LANE_CLOSED && !client->pin;
}

static void move(struct client *client)
{
    struct pool *pool = pool_there(client);

    pool_stop_waiting(&client->pool_waiter);
    client->has_outcome = false;
    if (client->inflight) {
        if (client->lane->pool != pool)
            pool_adopt(pool, client->lane);
        client->pool->n_clients--;
        client->pool = pool;
        pool->n_clients++;
        return;
    }
    client_move_to_pool(client, pool);
    if (client->gate == GATE_POOL)
        client_open_gate(client);
}

bool switch_client(struct client *client)
{
    const struct settings *settings = client->worker->settings;
    bool other_data = is_other_data(client->worker, client->pool->key.backend);

    client->leaving = false;
    if (client->state != CLIENT_OPEN)
        return false;
    if (client->pin && pin_has_state(client)) { /* it came with the last reply */
        client_finish(client, reason);
        return false;
    }
    if (other_data && settings->on_dataset_change == DATASET_CLOSE) {
        client_finish(client, "the data set in use has changed");
        return false;
    }
    if (other_data && settings->on_dataset_change == DATASET_ERROR_ONCE)
        client->must_be_told = true; /* the word of an earlier switch may still be due */
    move(client);
    return true;
}

static void leave(struct client *client)
{
    bool session = client->pin && (pin_has_state(client) || client->blocked || client->streaming);

    if (session)
        lane_fail(client->pin, reason);
    if (session && client->state == CLIENT_OPEN)
        client_finish(client, reason);
    if (client->state != CLIENT_OPEN)
        return;
    if (client->inflight && !is_unsent(client))
        client->leaving = true; /* what it asked is still answered by the backend it asked */
    else
        switch_client(client);
}

/* What waits unsent must not run on data that its client does not know of. */
static void give_up_unsent(struct worker *worker, struct pool *pool)
{
    struct lane *lane, *next;

    if (worker->settings->on_dataset_change == DATASET_CONTINUE || !is_other_data(worker, pool->key.backend))
        return;
    for (lane = TAILQ_FIRST(&pool->shared); lane; lane = next) {
        next = TAILQ_NEXT(lane, link);
        if (lane->state == LANE_CLOSED)
            lane_expire_unsent(lane, loop_now_ms(&worker->loop), 0);
    }
}

static bool is_alive(const struct worker *worker, const struct backend *backend)
{
    const struct backend_view *view = snapshot_find(worker->snapshot, backend);

    return !view || backend_view_is_alive(view);
}

static void leave_lanes(struct worker *worker, const struct backend *backend)
{
    bool alive = is_alive(worker, backend);
    struct pool *pool;

    LIST_FOREACH(pool, &worker->pools, link)
    if (pool->key.backend == backend)
        pool_leave_backend(pool, alive, reason);
    worker_backend_lost(worker);
}

/* Backends that were left while they lived may still owe replies; when one dies, these will not come any more. */
static void bury_the_dead(struct worker *worker)
{
    struct pool *pool;

    LIST_FOREACH(pool, &worker->pools, link)
    if (!pool_is_routed(pool) && !is_alive(worker, pool->key.backend))
        pool_leave_backend(pool, false, reason);
}

static void go_over(struct worker *worker, struct backend *to)
{
    struct backend *from = worker->backend;
    struct client *client, *next;
    struct pool *pool;

    worker->backend = backend_ref(to);
    limiter_new_epoch(worker->limiter);
    worker->home = auth_first_pool(worker);
    leave_lanes(worker, from);
    LIST_FOREACH(pool, &worker->pools, link)
    if (pool->key.backend != to)
        give_up_unsent(worker, pool);
    for (client = TAILQ_FIRST(&worker->clients); client; client = next) {
        next = TAILQ_NEXT(client, link);
        if (client->pool->key.backend != to)
            leave(client);
    }
    backend_unref(from);
}

static void serve_all(struct worker *worker)
{
    struct pool *pool, *next;

    for (pool = LIST_FIRST(&worker->pools); pool; pool = next) {
        next = LIST_NEXT(pool, link);
        if (pool_is_routed(pool)) {
            pool->failures = 0;
            pool->retry_ms = 0;
            pool_serve(pool);
        }
    }
    if (!worker->draining)
        pool_shared_lane(worker->home); /* the next client shall not wait for a login */
}

void switch_route(struct worker *worker, struct snapshot *snapshot, struct settings *settings)
{
    struct snapshot *before = worker->snapshot;
    struct backend *to = snapshot->chosen;
    bool was_usable = worker->usable;

    if (settings) {
        struct settings *was = worker->settings;

        worker->settings = settings;
        limiter_reconfigure(worker->limiter);
        repairer_reconfigure(worker->repairer);
        settings_unref(was);
    }
    worker->snapshot = snapshot;
    worker->usable = to;
    worker->hopeless = !to && worker_has_verdict(worker) && !worker->settings->wait_when_all_down;
    if (to && to != worker->backend) {
        go_over(worker, to);
        serve_all(worker);
    } else if (to && !was_usable) {
        serve_all(worker);
    } else if (!to && was_usable) {
        leave_lanes(worker, worker->backend);
    }
    bury_the_dead(worker);
    if (!to)
        worker_want_tick(worker);
    worker->was_usable |= worker->usable;
    snapshot_unref(before);
}
