/*
 * Commands too large to be held (stream_threshold): they travel over a lane of their own as they come, so that a value
 * of any size costs a few kilobytes here, and a sender that stalls in the middle holds up nobody but itself.
 */
#include "proxy/flow/adopt.h"
#include "proxy/flow/client.h"
#include "proxy/flow/limit.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/repair.h"
#include "proxy/net/log.h"

static bool is_streamable(const struct call *call)
{
    switch (call->row->id) {
    case CMD_CLIENT_TRACKING: /* carries the id of a client */
    case CMD_MONITOR:
        return false;
    default:
        return call->row->cls == COMMAND_SHARED || call->row->cls == COMMAND_PIN;
    }
}

/* A command that is answered here must be held whole; query_buffer says how much that may be. */
static size_t hold(struct client *client)
{
    if (client->scan.pos < client->worker->settings->query_buffer)
        return 0;
    if (!client_drained(client))
        return 0;
    client_answer_error(client, reply_text_rglimit_command, &client->worker->counters.limited);
    client_finish(client, "command too large");
    return 0;
}

static struct call partial_call(const struct client *client, const uint8_t *bytes)
{
    const struct request_scan *scan = &client->scan;
    struct call call = {.bytes = bytes, .argc = scan->argc};

    call.name = bytes + scan->arg[0].off;
    call.name_len = scan->arg[0].len;
    if (request_has_arg(scan, 1)) {
        call.sub = bytes + scan->arg[1].off;
        call.sub_len = scan->arg[1].len;
    }
    call.len = call.available = (size_t)scan->pos;
    call.row = command_find(call.name, call.name_len, call.sub, call.sub_len);
    return call;
}

/* What to do with the reply: as for the same command in one piece. */
static enum request_kind kind_of(struct client *client, const struct call *call)
{
    if (client->session.tx_open)
        return REQUEST_PLAIN;
    switch (call->row->id) {
    case CMD_WATCH:
        return REQUEST_WATCH;
    case CMD_UNKNOWN:
        return REQUEST_FOREIGN;
    case CMD_CLIENT_ANY:
    case CMD_HIMPORT_ANY:
        return REQUEST_STICK;
    default:
        return REQUEST_ONCE;
    }
}

static bool is_pubsub(const struct call *call)
{
    return call->row->cls == COMMAND_PIN && (call->row->flags & COMMAND_PUBSUB);
}

static void send_head(struct client *client, const struct call *call)
{
    if (limit_may_be_lowered_by(client, call)) {
        client->lowers = true;
        client->session.tx_lowers |= client->session.tx_open;
        limiter_note_lowered(client->worker->limiter);
    }
    if (!client->pin->tunnel) {
        client_send(client, client->pin, kind_of(client, call), call->bytes, call->len);
        return;
    }
    count(client->worker, accepted);
    count(client->worker, replied);
    lane_send_more(client->pin, call->bytes, call->len);
}

/* Whether the client must be told first that the data set has changed; then the rest of the command cannot be told
 * from a command. */
static bool tell_of_data(struct client *client)
{
    if (!client->must_be_told || client->pin)
        return false;
    if (!client_drained(client))
        return true;
    client->must_be_told = false;
    client_answer_error(client, reply_text_rgstate_dataset, &client->worker->counters.state);
    client_finish(client, "another data set at a large request");
    return true;
}

size_t stream_begin(struct client *client, const uint8_t *bytes, size_t len)
{
    struct call call;
    bool wait = false;
    size_t used = 0;

    (void)len;
    if (client->scan.is_inline || !request_has_arg(&client->scan, 0))
        return hold(client);
    call = partial_call(client, bytes);
    if (!is_streamable(&call) || is_pubsub(&call) || auth_is_due(client, call.row, &wait) ||
        client->worker->settings->refused[call.row->index] ||
        repair_is_enforced(client, call.row, call.sub, call.sub_len) ||
        adopt_is_named(client, call.row, call.sub, call.sub_len))
        return hold(client);
    if (!wait && tell_of_data(client))
        return 0;
    if (wait || !client_drained(client) || !pin_acquire(client, client->pool, &call, &used)) {
        if (used) /* it was answered, and its rest cannot be told from a command */
            client_finish(client, "no backend connection for a large request");
        return 0;
    }
    client->last_command = call.row;
    client->streaming = true;
    send_head(client, &call);
    return call.len;
}

static void end_stream(struct client *client)
{
    client->streaming = false;
    request_scan_reset(&client->scan);
    if (client->reply_mode == REPLY_SKIP_THIS)
        client->reply_mode = REPLY_ON;
    if (client->inflight)
        client_shut(client, GATE_DRAIN);
    else
        pin_release_if_free(client); /* the reply came before the end of the command */
}

size_t stream_continue(struct client *client, const uint8_t *bytes, size_t len)
{
    uint64_t before = client->scan.pos;
    enum resp_status status;

    if (!client->pin) {
        client_close(client, "backend lost within a large request");
        return 0;
    }
    if (client_waits_for_lane(client, client->pin))
        return 0;
    status = request_scan(&client->scan, bytes, len, &client->worker->settings->limits);
    if (status == RESP_ERROR) {
        client_close(client, "protocol error within a large request");
        return 0;
    }
    size_t n = (size_t)(client->scan.pos - before);
    lane_send_more(client->pin, bytes, n);
    if (status == RESP_DONE)
        end_stream(client);
    return n;
}
