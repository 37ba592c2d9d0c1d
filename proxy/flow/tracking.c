/*
 * CLIENT TRACKING ... REDIRECT id: the id is one of ours, the server wants that of the connection which shall receive
 * the invalidations. So the target gets a connection of its own first, and the command is sent with that one's id.
 */
#include <stdio.h>
#include <string.h>

#include "proxy/flow/client.h"
#include "proxy/flow/tour.h"
#include "proxy/net/owner.h"

static void note_pin(struct tour *tour, struct client *client)
{
    client_leave_lane(client);
    client->session.redirected = true;
    tour_note_pin(tour, client->pin);
}

static void on_pin(struct pool_waiter *waiter, enum pool_outcome outcome)
{
    struct tour *tour = OWNER_OF(waiter, struct tour, waiter);
    struct client *client = client_find(tour->at, tour->target);

    if (client && outcome == POOL_GRANTED && !client->pin && !client->inflight && client->pool == waiter->granted_by)
        client->pin = pool_try_pin(waiter->granted_by, &client->holder);
    if (client && client->pin)
        note_pin(tour, client);
    tour_go_on(tour);
}

static bool visit_target(struct tour *tour, struct worker *worker)
{
    struct client *client = client_find(worker, tour->target);

    if (!client)
        return true;
    if (!client->pin && !client->inflight)
        client->pin = pool_try_pin(client->pool, &client->holder);
    if (client->pin) {
        note_pin(tour, client);
        return true;
    }
    tour->waiter.done = on_pin;
    pool_wait(client->pool, &tour->waiter, true);
    return false;
}

/* The position of REDIRECT's value; 0 when there is none. */
static uint32_t find_redirect(const struct call *call)
{
    const uint8_t *arg;
    size_t len;

    for (uint32_t i = 3; call_arg(call, i, &arg, &len); i++)
        if (arg_is(arg, len, "REDIRECT") && i + 1 < call->argc)
            return i + 1;
    return 0;
}

static void send_with_id(struct client *client, const struct call *call, uint32_t at, uint64_t backend_id)
{
    const uint8_t *arg;
    char text[40];
    size_t len;

    call_arg(call, at, &arg, &len);
    int id_len = snprintf(NULL, 0, "%llu", (unsigned long long)backend_id);
    int n = snprintf(text, sizeof(text), "$%d\r\n%llu", id_len, (unsigned long long)backend_id);
    /* Up to the length line of the old id, the new one, and the rest behind the old one. */
    const uint8_t *line = arg - 3;
    while (*line != '$')
        line--;
    client_send(client, client->pin, REQUEST_TRACKING_ON, call->bytes, (size_t)(line - call->bytes));
    lane_send_more(client->pin, text, (size_t)n);
    lane_send_more(client->pin, arg + len, call->len - (size_t)(arg + len - call->bytes));
    client_shut(client, GATE_DRAIN);
}

bool client_tracking(struct client *client, const struct call *call, size_t *used)
{
    uint32_t at = find_redirect(call);
    const uint8_t *arg;
    struct tour *tour;
    int64_t id;
    size_t len;

    if (!at || !call_arg(call, at, &arg, &len) || !arg_number(arg, len, &id))
        return true;
    if (!client->tour) {
        tour = tour_new(visit_target);
        tour->target = (uint64_t)id;
        tour_start(client, tour);
        *used = 0;
        return false;
    }
    uint64_t backend_id = tour_backend_id(client->tour, client->pool);
    tour_forget(client);
    *used = call->len;
    if (backend_id)
        send_with_id(client, call, at, backend_id);
    else
        client_answer_error(client, "ERR The client ID you want redirect to does not exist",
                            &client->worker->counters.replied);
    return false;
}
