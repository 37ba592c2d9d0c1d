/*
 * Commands of a client whose pin holds state: in a transaction, watching, subscribed, tracking.
 *
 * Some commands change what the connection is: its db, its RESP version, its name (SELECT queued in a transaction, or
 * while watching). Then the session is the connection's: the client keeps it until RESET or the end, and what would be
 * answered here goes there.
 *
 * Others change the framing in ways that cannot be followed from outside (SUBSCRIBE queued in a transaction, HELLO
 * while subscribed). Then the pin becomes a tunnel: replies are copied, not parsed, until either side closes.
 */
#include "proxy/flow/adopt.h"
#include "proxy/flow/client.h"
#include "proxy/flow/limit.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/repair.h"
#include "proxy/flow/visible_dispatch.h"
#include "proxy/net/log.h"

/* --- the tunnel --- */

void pin_become_tunnel(struct client *client)
{
    client->pin->tunnel = true;
    client->pin->clean = false;
    client_leave_lane(client);
    log_write(LOG_DEBUG, "client tunnelled", LOG_NUM("client", client->id), LOG_NUM("lane", client->pin->serial));
}

static bool carries_login(const struct call *call)
{
    return call->row->id == CMD_AUTH || (call->row->id == CMD_HELLO && call->argc > 2);
}

/* Commands that would reach beyond the tunnel's own connection. */
static bool may_enter_tunnel(const struct client *client, const struct call *call)
{
    if (client->worker->settings->refused[call->row->index] || call->row->cls == COMMAND_REWRITE)
        return false;
    return !carries_login(call) || client->worker->settings->auth == AUTH_BACKEND;
}

static size_t tunnel_dispatch(struct client *client, const struct call *call)
{
    if (!may_enter_tunnel(client, call)) {
        client_close(client, "command cannot be answered within a tunnel");
        return 0;
    }
    bool lowers = client->session.tx_lowers || limit_is_lowered_by(client, call);
    size_t len = limit_encode_in_tunnel(client, call, &lowers);
    if (!len)
        len = repair_encode_in_tunnel(client, call);
    if (!len)
        len = adopt_encode_in_tunnel(client, call);
    if (!len)
        len = repair_show_in_tunnel(client, call);
    if (!len)
        len = visible_encode_in_tunnel(client, call);
    if (lowers) {
        client->lowers = true;
        limiter_note_lowered(client->worker->limiter);
    }
    count(client->worker, accepted);
    count(client->worker, replied);
    lane_send_more(client->pin, len ? client->worker->limiter->out : call->bytes, len ? len : call->len);
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
        return pin_send_and_wait(client, call, REQUEST_EXEC);
    pin_become_tunnel(client);
    client->session.tx_open = false;
    return tunnel_dispatch(client, call);
}

/* Queued, it changes what the connection is, but not the framing of replies. */
static bool changes_connection(const struct call *call)
{
    switch (call->row->id) {
    case CMD_SELECT:
    case CMD_CLIENT_SETNAME:
    case CMD_CLIENT_SETINFO:
    case CMD_CLIENT_NO_EVICT:
    case CMD_CLIENT_NO_TOUCH:
    case CMD_CLIENT_CAPA:
        return true;
    case CMD_HELLO:
        return !carries_login(call);
    default:
        return false;
    }
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
        return row->cls == COMMAND_LOCAL || pin_is_subscribing(row) || row->id == CMD_MONITOR ||
               row->id == CMD_UNKNOWN || row->id == CMD_CLIENT_TRACKING || row->id == CMD_CLIENT_ANY ||
               row->id == CMD_HIMPORT_ANY || row->id == CMD_CLIENT_NO_TOUCH;
    }
}

static size_t tx_dispatch(struct client *client, const struct call *call)
{
    const struct command *row = call->row;
    bool whole = command_arity_ok(row, call->argc);

    if (whole && row->id == CMD_EXEC)
        return tx_exec(client, call);
    if (whole && row->id == CMD_DISCARD)
        return client_drained(client) ? pin_send_and_wait(client, call, REQUEST_DISCARD) : 0;
    bool own_login = carries_login(call) && client->worker->settings->auth != AUTH_BACKEND;
    if (row->cls == COMMAND_REWRITE || own_login || client->worker->settings->refused[row->index])
        return poison(client, call);
    if (whole && changes_connection(call))
        client->session.tx_adopts = true;
    else if (whole && is_foreign_in_tx(row))
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
    if (changes_connection(call) && !session_subscriptions(&client->session)) {
        client->session.adopted = true;
        return dispatch_plain(client, call);
    }
    pin_become_tunnel(client);
    return tunnel_dispatch(client, call);
}

/* The session is the connection's: so are the answers about it. */
static size_t adopted_dispatch(struct client *client, const struct call *call)
{
    bool own_login = carries_login(call) && client->worker->settings->auth != AUTH_BACKEND;

    if (!client_drained(client))
        return 0;
    if (call->row->id == CMD_CLIENT_REPLY || (own_login && call->row->id == CMD_AUTH))
        return local_dispatch(client, call);
    if (own_login) {
        client_close(client, "HELLO with a login after the session became its connection's");
        return 0;
    }
    return dispatch_plain(client, call);
}

static size_t state_dispatch(struct client *client, const struct call *call)
{
    const struct command *row = call->row;
    bool whole = command_arity_ok(row, call->argc);

    if (whole && client->session.adopted && row->cls == COMMAND_LOCAL)
        return adopted_dispatch(client, call);
    if (whole && (row->id == CMD_HELLO || row->id == CMD_SELECT || row->id == CMD_AUTH))
        return change_on_pin(client, call);
    if (whole && row->id == CMD_UNWATCH)
        return client_drained(client) ? pin_send_and_wait(client, call, REQUEST_UNWATCH) : 0;
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

size_t session_dispatch(struct client *client, const struct call *call)
{
    const struct command *row = call->row;

    if (client->pin->tunnel)
        return tunnel_dispatch(client, call);
    if (client->session.tx_open)
        return tx_dispatch(client, call);
    if (session_subscriptions(&client->session) && client->pool->key.resp == 2 && row->id != CMD_PING &&
        !pin_is_subscribing(row) &&
        (row->cls == COMMAND_LOCAL || row->cls == COMMAND_REWRITE || row->cls == COMMAND_REFUSE ||
         row->cls == COMMAND_LIMIT))
        return refuse_while_subscribed(client, call);
    if (client->worker->settings->refused[row->index])
        return dispatch_refused(client, call);
    return state_dispatch(client, call);
}
