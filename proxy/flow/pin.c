/*
 * A client with a lane of its own: transactions, WATCH, pub/sub, blocking commands, MONITOR, tracking, WAIT. A command
 * that changes the session shuts the gate until its reply is there, so the session's state is always known when the
 * next command is looked at.
 *
 * Some commands change the framing or the session in ways that cannot be followed from outside (SUBSCRIBE or HELLO
 * queued in a transaction, HELLO while subscribed). Then the pin becomes a tunnel: replies are copied, not parsed,
 * until either side closes, and the pin is never used again.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proxy/flow/client.h"
#include "proxy/flow/script_cache.h"
#include "proxy/net/log.h"

static struct client *from_holder(struct lane_holder *holder)
{
    return (struct client *)((char *)holder - offsetof(struct client, holder));
}

/* --- having and letting go --- */

static uint64_t subscriptions(const struct session *session)
{
    return (uint64_t)session->channels + session->patterns + session->shards;
}

bool pin_has_state(const struct client *client)
{
    const struct session *s = &client->session;

    return s->tx_open || s->watching || s->tracking || s->stuck || s->redirected || subscriptions(s) ||
           (client->pin && client->pin->tunnel);
}

bool pin_is_held(const struct client *client)
{
    return client->session.overflow || client->session.own_lane || client->streaming || pin_has_state(client);
}

static void forget_session(struct client *client)
{
    memset(&client->session, 0, sizeof(client->session));
}

void pin_drop(struct client *client)
{
    struct lane *pin = client->pin;

    if (!pin)
        return;
    client->pin = NULL;
    if (pin_has_state(client) || client->streaming || pin->tunnel)
        pin->clean = false;
    forget_session(client);
    /* A blocked command must not pop an element for nobody; anything else in flight may end. */
    if (client->inflight && !client->blocked && !client->streaming && pin->state == LANE_READY) {
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

    if (!strcmp(name, pin->name) || strlen(name) >= sizeof(pin->name))
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
        client_answer_error(client, answer.text, answer.outcome);
        *consumed = call->len;
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
static size_t send_and_wait(struct client *client, const struct call *call, enum request_kind kind)
{
    client_send(client, client->pin, kind, call->bytes, call->len);
    client_shut(client, GATE_DRAIN);
    return call->len;
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
    client->pin->subscriber = true;
    request = client_send(client, client->pin, REQUEST_CONFIRM, call->bytes, call->len);
    request->replies = (uint32_t)expected;
    request->confirms = true;
    client_shut(client, GATE_DRAIN);
    return call->len;
}

static bool is_subscribing(const struct command *row)
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
    return send_and_wait(client, call, on ? REQUEST_TRACKING_ON : REQUEST_TRACKING_OFF);
}

/* A command that brought the client its pin, or that has a meaning of its own on a pin. */
size_t pin_start(struct client *client, const struct call *call)
{
    const struct command *row = call->row;
    size_t used = 0;

    sync_name(client, client->pin);
    if (is_subscribing(row))
        return send_subscribe(client, call);
    switch (row->id) {
    case CMD_MULTI:
        return send_and_wait(client, call, REQUEST_MULTI);
    case CMD_WATCH:
        return send_and_wait(client, call, REQUEST_WATCH);
    case CMD_MONITOR:
        return send_and_wait(client, call, REQUEST_MONITOR);
    case CMD_CLIENT_TRACKING:
        return client_tracking(client, call, &used) ? send_tracking(client, call) : used;
    case CMD_READONLY:
    case CMD_CLIENT_ANY:
    case CMD_CLIENT_NO_TOUCH:
    case CMD_CLIENT_IMPORT_SOURCE:
    case CMD_HIMPORT_ANY:
        return send_and_wait(client, call, REQUEST_STICK);
    case CMD_UNKNOWN:
        return send_and_wait(client, call, REQUEST_FOREIGN);
    default:
        break;
    }
    if (row->cls == COMMAND_REFUSE) {
        pin_become_tunnel(client);
        return pin_dispatch(client, call);
    }
    client->blocked = row->flags & COMMAND_BLOCKING;
    return send_and_wait(client, call, REQUEST_ONCE);
}

size_t pin_wait_command(struct client *client, const struct call *call)
{
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
    return send_and_wait(client, call, REQUEST_ONCE);
}

/* --- the tunnel --- */

void pin_become_tunnel(struct client *client)
{
    client->pin->tunnel = true;
    client->pin->clean = false;
    client_leave_lane(client);
    log_write(LOG_DEBUG, "client tunnelled", LOG_NUM("client", client->id), LOG_NUM("lane", client->pin->serial));
}

/* Commands that would reach beyond the tunnel's own connection. */
static bool may_enter_tunnel(const struct client *client, const struct command *row)
{
    if (client->worker->settings->refused[row->index] || row->cls == COMMAND_REWRITE || row->lane == COMMAND_ON_CONTROL)
        return false;
    return row->id != CMD_AUTH || client->worker->settings->auth == AUTH_BACKEND;
}

static size_t tunnel_dispatch(struct client *client, const struct call *call)
{
    if (!may_enter_tunnel(client, call->row)) {
        client_close(client, "command cannot be answered within a tunnel");
        return 0;
    }
    count(client->worker, accepted);
    count(client->worker, replied);
    lane_send_more(client->pin, call->bytes, call->len);
    return call->len;
}

/* --- commands on a pin that holds state --- */

/* Refused within a transaction: the error now, and EXEC must fail, as it does for an error at queueing time. */
static size_t poison(struct client *client, const struct call *call)
{
    size_t used = dispatch_refused(client, call);
    if (used)
        client->session.tx_poisoned = true;
    return used;
}

static size_t tx_exec(struct client *client, const struct call *call)
{
    static const uint8_t discard[] = "*1\r\n$7\r\nDISCARD\r\n";

    if (!client_drained(client))
        return 0;
    if (client->session.tx_poisoned) {
        client_send(client, client->pin, REQUEST_ABORT, discard, sizeof(discard) - 1);
        client_shut(client, GATE_DRAIN);
        return call->len;
    }
    if (!client->session.tx_foreign)
        return send_and_wait(client, call, REQUEST_EXEC);
    pin_become_tunnel(client);
    client->session.tx_open = false;
    return tunnel_dispatch(client, call);
}

/* What a queued command would change behind our back. */
static bool is_foreign_in_tx(const struct command *row)
{
    switch (row->id) {
    case CMD_CLIENT_ID:
    case CMD_CLIENT_GETNAME:
    case CMD_CLIENT_INFO:
    case CMD_CLIENT_TRACKINGINFO:
    case CMD_CLIENT_GETREDIR:
    case CMD_CLIENT_MAINT_NOTIFICATIONS:
        return false;
    default:
        return row->cls == COMMAND_LOCAL || is_subscribing(row) || row->id == CMD_MONITOR || row->id == CMD_UNKNOWN ||
               row->id == CMD_CLIENT_TRACKING || row->id == CMD_CLIENT_ANY || row->id == CMD_HIMPORT_ANY ||
               row->id == CMD_CLIENT_NO_TOUCH;
    }
}

static bool carries_login(const struct call *call)
{
    return call->row->id == CMD_AUTH || (call->row->id == CMD_HELLO && call->argc > 2);
}

static size_t tx_dispatch(struct client *client, const struct call *call)
{
    const struct command *row = call->row;
    bool whole = command_arity_ok(row, call->argc);

    if (whole && row->id == CMD_EXEC)
        return tx_exec(client, call);
    if (whole && row->id == CMD_DISCARD)
        return client_drained(client) ? send_and_wait(client, call, REQUEST_DISCARD) : 0;
    if (row->cls == COMMAND_REWRITE || carries_login(call) || client->worker->settings->refused[row->index])
        return poison(client, call);
    if (whole && is_foreign_in_tx(row))
        client->session.tx_foreign = true;
    return dispatch_plain(client, call);
}

/* A subscribed RESP2 connection takes little else; the words are the server's. */
static size_t refuse_while_subscribed(struct client *client, const struct call *call)
{
    uint8_t bytes[256];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof(bytes)};

    if (!client_drained(client))
        return 0;
    reply_subscribed(&w, call->row);
    client_answer(client, &w, &client->worker->counters.replied);
    return call->len;
}

/* HELLO, SELECT and AUTH while the pin holds state: only the connection itself can follow them. */
static size_t change_on_pin(struct client *client, const struct call *call)
{
    if (!client_drained(client))
        return 0;
    if (carries_login(call) && client->worker->settings->auth != AUTH_BACKEND)
        return local_dispatch(client, call);
    pin_become_tunnel(client);
    return tunnel_dispatch(client, call);
}

static size_t state_dispatch(struct client *client, const struct call *call)
{
    const struct command *row = call->row;
    bool whole = command_arity_ok(row, call->argc);

    if (whole && (row->id == CMD_HELLO || row->id == CMD_SELECT || row->id == CMD_AUTH))
        return change_on_pin(client, call);
    if (whole && row->id == CMD_UNWATCH)
        return client_drained(client) ? send_and_wait(client, call, REQUEST_UNWATCH) : 0;
    if (whole && row->id == CMD_MULTI) {
        size_t used = client_drained(client) ? burst_try(client, call, client->pin) : 0;
        return used || client->gate != GATE_OPEN ? used : pin_start(client, call);
    }
    if (whole && (row->id == CMD_CLIENT_TRACKINGINFO || row->id == CMD_CLIENT_GETREDIR))
        return dispatch_plain(client, call);
    if (whole && (row->id == CMD_EXEC || row->id == CMD_DISCARD))
        return dispatch_plain(client, call);
    if (whole && row->cls == COMMAND_PIN)
        return client_drained(client) ? pin_start(client, call) : 0;
    if (whole && (row->cls == COMMAND_LOCAL || row->cls == COMMAND_REWRITE))
        return client_drained(client) ? local_dispatch(client, call) : 0;
    return dispatch_plain(client, call);
}

size_t pin_dispatch(struct client *client, const struct call *call)
{
    const struct command *row = call->row;

    if (client->pin->tunnel)
        return tunnel_dispatch(client, call);
    if (client->session.tx_open)
        return tx_dispatch(client, call);
    if (subscriptions(&client->session) && client->pool->key.resp == 2 && row->id != CMD_PING && !is_subscribing(row) &&
        (row->cls == COMMAND_LOCAL || row->cls == COMMAND_REWRITE || row->cls == COMMAND_REFUSE))
        return refuse_while_subscribed(client, call);
    if (client->worker->settings->refused[row->index])
        return dispatch_refused(client, call);
    return state_dispatch(client, call);
}

/* --- replies --- */

static void end_tx(struct client *client)
{
    client->session.tx_open = client->session.tx_foreign = client->session.tx_poisoned = false;
    client->session.watching = false;
}

static void note_count(struct session *session, struct pubsub_element element, uint64_t total)
{
    uint32_t *names = element.family == PUBSUB_PATTERN ? &session->patterns : &session->channels;

    if (element.family == PUBSUB_SHARD) {
        session->shards = (uint32_t)total;
        return;
    }
    /* The number counts channels and patterns together; what it moved by is of the confirmed kind. */
    if (total > session->pubsub_total)
        *names += (uint32_t)(total - session->pubsub_total);
    else if (total < session->pubsub_total)
        *names -= (uint32_t)(session->pubsub_total - total);
    session->pubsub_total = (uint32_t)total;
}

static void on_confirmation(struct client *client, struct lane *lane, const struct request *request,
                            const uint8_t *bytes, size_t len, bool last)
{
    struct session *session = &client->session;
    struct pubsub_element element = {0};
    uint64_t total;

    if (request->type != '-') {
        if (!request->begun)
            session->confirming = (uint8_t)(pubsub_classify(bytes, len).kind | pubsub_classify(bytes, len).family << 4);
        if (!last)
            return;
        element.kind = (enum pubsub_kind)(session->confirming & 15);
        element.family = (enum pubsub_family)(session->confirming >> 4);
        if (pubsub_count(bytes, len, &total))
            note_count(session, element, total);
        else
            session->stuck = true; /* cut in two by its length: stay on the safe side */
    }
    if (last && !request->replies)
        lane->subscriber = subscriptions(session) || session->stuck;
}

static void answer_abort(struct client *client, const struct request *request)
{
    uint8_t bytes[128];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof(bytes)};

    reply_error(&w, reply_text_execabort);
    if (!request->muted)
        conn_write(&client->conn, bytes, w.len);
}

static bool starts_with(const uint8_t *bytes, size_t len, const char *text)
{
    return len >= strlen(text) && !memcmp(bytes, text, strlen(text));
}

/* A shared lane on which EXEC failed in an unexpected way may still be in the transaction: nobody may go on with it. */
static void check_burst(struct lane *lane, const struct request *request, const uint8_t *bytes, size_t len)
{
    if (request->type != '-' || request->begun || starts_with(bytes, len, "-EXECABORT") ||
        starts_with(bytes, len, "-ERR EXEC without MULTI"))
        return;
    lane->clean = false;
    pool_retire(lane->pool, lane);
}

bool pin_on_reply(struct client *client, struct lane *lane, struct request *request, const uint8_t *bytes, size_t len,
                  bool last)
{
    struct session *session = &client->session;
    bool failed = request->type == '-';

    switch ((enum request_kind)request->kind) {
    case REQUEST_CONFIRM:
        on_confirmation(client, lane, request, bytes, len, last);
        return false;
    case REQUEST_SCRIPT:
        return script_on_reply(client, lane, request, bytes, len, last);
    case REQUEST_BURST_EXEC:
        check_burst(lane, request, bytes, len);
        if (last && !failed && lane == client->pin)
            session->watching = false;
        return false;
    case REQUEST_ABORT:
        if (last)
            answer_abort(client, request);
        if (last)
            end_tx(client);
        return true;
    default:
        break;
    }
    if (!last)
        return false;
    switch ((enum request_kind)request->kind) {
    case REQUEST_STICK:
        session->stuck |= !failed;
        break;
    case REQUEST_FOREIGN:
        lane->clean &= failed;
        break;
    case REQUEST_MULTI:
        session->tx_open = !failed;
        break;
    case REQUEST_EXEC:
        end_tx(client);
        break;
    case REQUEST_DISCARD:
        if (!failed)
            end_tx(client);
        break;
    case REQUEST_WATCH:
        session->watching |= !failed;
        break;
    case REQUEST_UNWATCH:
        session->watching &= failed;
        break;
    case REQUEST_TRACKING_ON:
        session->tracking |= !failed;
        break;
    case REQUEST_TRACKING_OFF:
        session->tracking &= failed;
        break;
    case REQUEST_MONITOR:
        if (!failed)
            pin_become_tunnel(client);
        break;
    default:
        break;
    }
    return false;
}

/* --- from the lane --- */

static void on_message(struct lane_holder *holder, struct lane *lane, const uint8_t *bytes, size_t len, bool last)
{
    struct client *client = from_holder(holder);

    (void)last;
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
