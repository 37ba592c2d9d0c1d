/*
 * A client with a lane of its own: how it gets one, what it is for, how it lets go. A command that changes the session
 * shuts the gate until its reply is there, so the session's state is always known when the next command is looked at.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proxy/flow/client.h"
#include "proxy/flow/foreign.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/repair.h"
#include "proxy/flow/script_cache.h"
#include "proxy/net/log.h"
#include "proxy/net/owner.h"

static struct client *from_holder(struct lane_holder *holder)
{
    return OWNER_OF(holder, struct client, holder);
}

/* --- having and letting go --- */

bool pin_has_state(const struct client *client)
{
    const struct session *s = &client->session;

    return s->tx_open || s->watching || s->tracking || s->stuck || s->adopted || s->redirected ||
           session_subscriptions(s) || (client->pin && client->pin->tunnel);
}

bool pin_is_held(const struct client *client)
{
    return client->session.overflow || client->session.own_lane || client->streaming || pin_has_state(client);
}

static void forget_session(struct client *client)
{
    memset(&client->session, 0, sizeof(client->session));
}

/* Whether a reply still to come may change the state of the connection. */
static bool awaits_change(const struct client *client, const struct lane *pin)
{
    for (uint32_t i = 0; i < request_count(&pin->queue); i++) {
        const struct request *request = request_at(&pin->queue, i);
        if (request->owner == &client->requester && request->kind != REQUEST_PLAIN && request->kind != REQUEST_ONCE &&
            request->kind != REQUEST_SCRIPT && request->kind != REQUEST_BURST_EXEC)
            return true;
    }
    return false;
}

void pin_drop(struct client *client)
{
    struct lane *pin = client->pin;

    if (!pin)
        return;
    client->pin = NULL;
    if (pin_has_state(client) || client->streaming || awaits_change(client, pin))
        pin->clean = false;
    forget_session(client);
    /* A blocked command must not pop an element for nobody; anything else in flight may end, and what was sent to give
     * back a semaphore's place must get there. */
    bool in_flight = client->inflight || (request_count(&pin->queue) && !pin->tunnel);
    if (in_flight && !client->blocked && !client->streaming && pin->state == LANE_READY) {
        pool_retire(pin->pool, pin);
        return;
    }
    client->streaming = false;
    if (client->inflight)
        lane_drop(pin, "its client is gone");
    else
        pool_unpin(pin->pool, pin);
}

void pin_release_if_free(struct client *client)
{
    struct lane *pin = client->pin;

    if (!pin || client->inflight || pin_is_held(client))
        return;
    client->pin = NULL;
    pool_unpin(pin->pool, pin);
}

/* Operators see the client's name on its pinned connection, and nobody sees a former holder's. */
static void sync_name(struct client *client, struct lane *pin)
{
    const char *name = client->names && client->names->name ? client->names->name : "";
    char command[160];

    if (!strcmp(name, pin->name) || strlen(name) >= sizeof(pin->name) || pin->pool->key.backend->metered)
        return;
    int n =
        snprintf(command, sizeof(command), "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$%zu\r\n%s\r\n", strlen(name), name);
    lane_send_silent(pin, command, (size_t)n);
    snprintf(pin->name, sizeof(pin->name), "%s", name);
}

bool pin_acquire(struct client *client, struct pool *pool, const struct call *call, size_t *consumed)
{
    struct ledger_text {
        const char *text;
        _Atomic uint64_t *outcome;
    } answer = {reply_text_rgunavail, &client->worker->counters.unavailable};

    *consumed = 0;
    if (client->pin)
        return true;
    if (!client_drained(client))
        return false;
    if (client->has_outcome) {
        client->has_outcome = false;
        if (client->outcome == POOL_FULL)
            answer = (struct ledger_text){reply_text_rglimit_pins, &client->worker->counters.limited};
        *consumed = dispatch_unserved(client, call, answer.text, answer.outcome);
        return false;
    }
    client->pin = pool_try_pin(pool, &client->holder);
    if (!client->pin) {
        pool_wait(pool, &client->pool_waiter, true);
        client_shut(client, GATE_POOL);
        return false;
    }
    return true;
}

/* --- sending --- */

/* Sends a command after which nothing can be taken until its reply is known. */
size_t pin_send_and_wait(struct client *client, const struct call *call, enum request_kind kind)
{
    client_send(client, client->pin, kind, call->bytes, call->len);
    client_shut(client, GATE_DRAIN);
    return call->len;
}

bool pin_has_messages(const struct client *client)
{
    return client->pool->key.resp == 2 || client->session.adopted;
}

static size_t send_subscribe(struct client *client, const struct call *call)
{
    struct session *session = &client->session;
    uint64_t expected = call->argc - 1;
    struct request *request;

    /* Without arguments there is one confirmation per subscription of the kind, or a single empty one. */
    if (!expected) {
        expected = call->row->id == CMD_UNSUBSCRIBE    ? session->channels
                   : call->row->id == CMD_PUNSUBSCRIBE ? session->patterns
                                                       : session->shards;
        expected = expected ? expected : 1;
    }
    client->pin->subscriber = pin_has_messages(client);
    request = client_send(client, client->pin, REQUEST_CONFIRM, call->bytes, call->len);
    request->replies = (uint32_t)expected;
    request->confirms = true;
    client_shut(client, GATE_DRAIN);
    return call->len;
}

bool pin_is_subscribing(const struct command *row)
{
    switch (row->id) {
    case CMD_SUBSCRIBE:
    case CMD_PSUBSCRIBE:
    case CMD_SSUBSCRIBE:
    case CMD_UNSUBSCRIBE:
    case CMD_PUNSUBSCRIBE:
    case CMD_SUNSUBSCRIBE:
        return true;
    default:
        return false;
    }
}

static size_t send_tracking(struct client *client, const struct call *call)
{
    bool on = call->sub && call->argc > 2;
    const uint8_t *arg;
    size_t len;

    if (on && call_arg(call, 2, &arg, &len) && arg_is(arg, len, "OFF"))
        on = false;
    return pin_send_and_wait(client, call, on ? REQUEST_TRACKING_ON : REQUEST_TRACKING_OFF);
}

/* A command that brought the client its pin, or that has a meaning of its own on a pin. */
size_t pin_start(struct client *client, const struct call *call)
{
    const struct command *row = call->row;
    size_t used = 0;

    sync_name(client, client->pin);
    if (pin_is_subscribing(row))
        return send_subscribe(client, call);
    switch (row->id) {
    case CMD_MULTI:
        return pin_send_and_wait(client, call, REQUEST_MULTI);
    case CMD_WATCH:
        return repair_send_watch(client, call);
    case CMD_MONITOR:
        return pin_send_and_wait(client, call, REQUEST_MONITOR);
    case CMD_CLIENT_TRACKING:
        return client_tracking(client, call, &used) ? send_tracking(client, call) : used;
    case CMD_READONLY:
    case CMD_CLIENT_ANY:
    case CMD_CLIENT_NO_TOUCH:
    case CMD_CLIENT_IMPORT_SOURCE:
    case CMD_HIMPORT_ANY:
        return pin_send_and_wait(client, call, REQUEST_STICK);
    case CMD_UNKNOWN:
        foreign_ask(client->worker->foreign, client->pin, call);
        return pin_send_and_wait(client, call, REQUEST_FOREIGN);
    default:
        break;
    }
    if (row->cls == COMMAND_REFUSE) {
        pin_become_tunnel(client);
        return session_dispatch(client, call);
    }
    client->blocked = row->flags & COMMAND_BLOCKING;
    return pin_send_and_wait(client, call, REQUEST_ONCE);
}

size_t pin_wait_command(struct client *client, const struct call *call)
{
    static const uint8_t ping[] = "*1\r\n$4\r\nPING\r\n";
    static const uint8_t publish[] = "*3\r\n$8\r\nSPUBLISH\r\n$15\r\nrespgate:offset\r\n$0\r\n\r\n";
    struct lane *lane = client->lane;

    if (!client_drained(client))
        return 0;
    /* The offset WAIT waits for belongs to the connection that carried the writes: the client keeps it from now on. */
    if (!client->pin && lane && lane->role == LANE_SHARED && lane->state == LANE_READY) {
        pool_pin_shared(client->pool, lane, &client->holder);
        client->pin = lane;
        client_leave_lane(client);
        client->session.own_lane = true;
    }
    size_t used = 0;
    if (!pin_acquire(client, client->pool, call, &used))
        return used;
    /* Some of its writes may have gone over a pin. Any command lifts the connection's offset to that of the server, but
     * since Redis 8 and Valkey 8 only one that replicas are told of, which this is; nobody else hears it. */
    lane_send_silent(client->pin, ping, sizeof(ping) - 1);
    lane_send_silent(client->pin, publish, sizeof(publish) - 1);
    return pin_send_and_wait(client, call, REQUEST_ONCE);
}

/* --- from the lane --- */

static void on_message(struct lane_holder *holder, struct lane *lane, const uint8_t *bytes, size_t len, bool last)
{
    struct client *client = from_holder(holder);

    (void)last;
    if (client->lowers)
        limiter_note_lowered(client->worker->limiter);
    conn_write(&client->conn, bytes, len);
    if (client->conn.out.len > client->worker->settings->reply_buffer)
        throttle_lane(client, lane);
}

static void on_lane_lost(struct lane_holder *holder, struct lane *lane, const char *reason)
{
    struct client *client = from_holder(holder);
    bool needed = pin_has_state(client) || client->streaming || lane->tunnel;

    client->pin = NULL;
    forget_session(client);
    if (client->state == CLIENT_OPEN && needed) {
        log_write(LOG_INFO, "client closed", LOG_NUM("client", client->id),
                  LOG_TEXT("reason", "its backend connection held session state and is lost"),
                  LOG_TEXT("cause", reason));
        client_finish(client, "backend lost with session state");
    }
}

const struct lane_holder_ops client_holder_ops = {.on_message = on_message, .on_lane_lost = on_lane_lost};
