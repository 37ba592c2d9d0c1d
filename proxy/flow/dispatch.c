/*
 * Where a command goes: by its class (commands.tsv), by what the client is doing, by what is configured.
 */
#include <stdlib.h>
#include <string.h>

#include "protocol/inline.h"
#include "proxy/flow/adopt.h"
#include "proxy/flow/client.h"
#include "proxy/flow/command_info.h"
#include "proxy/flow/foreign.h"
#include "proxy/flow/limit.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/repair.h"
#include "proxy/flow/script_cache.h"
#include "proxy/flow/visible_dispatch.h"

size_t dispatch_refused(struct client *client, const struct call *call)
{
    uint8_t bytes[256];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof(bytes)};

    if (!client_drained(client))
        return 0;
    reply_refused(&w, call->row);
    client_answer(client, &w, &client->worker->counters.denied);
    return call->len;
}

size_t dispatch_unserved(struct client *client, const struct call *call, const char *text, _Atomic uint64_t *outcome)
{
    bool guards = call->row->id == CMD_MULTI || call->row->id == CMD_WATCH;

    client_answer_error(client, text, outcome);
    if (guards && call->available > call->len)
        client_finish(client, "a transaction could not begin, and its commands are here already");
    return call->len;
}

/* The lane of a command that anybody may share; NULL when the command must wait. */
static struct lane *choose_lane(struct client *client)
{
    struct lane *lane = client->lane;

    if (client->pin)
        return client->pin;
    if (!lane || lane->role != LANE_SHARED) {
        if (!client_drained(client))
            return NULL;
        client_leave_lane(client);
        lane = client->lane = pool_shared_lane(client->pool);
        lane_ref(lane);
    } else if (lane->state == LANE_CLOSED) {
        pool_shared_lane(client->pool);
    }
    return lane;
}

static bool must_wait(struct client *client, struct lane *lane)
{
    /* Aside, where the backend holds the replies, a run of commands costs as much as one. */
    uint32_t held = client->session.overflow ? request_count(&lane->queue) : client->inflight;

    if (held >= client->worker->settings->pipeline_depth) {
        client_shut(client, GATE_DEPTH);
        return true;
    }
    return client_waits_for_lane(client, lane);
}

struct lane *dispatch_lane(struct client *client)
{
    struct lane *lane = choose_lane(client);

    return lane && !must_wait(client, lane) ? lane : NULL;
}

/*
 * A client that goes on asking without reading would hold up a shared lane with its replies; on a lane of its own the
 * backend holds them, as it would without a proxy. False: wait, or *used says that it was answered.
 */
static bool go_aside(struct client *client, const struct call *call, size_t *used)
{
    if (!client->pin) {
        if (!pin_acquire(client, client->pool, call, used))
            return false;
        client_leave_lane(client);
    }
    client->session.overflow = true;
    conn_notify_drained(&client->conn, client->worker->settings->reply_buffer / 2);
    return true;
}

enum request_kind dispatch_plain_kind(struct client *client, const struct call *call)
{
    if (!client->worker->limiter->denials || !limit_is_lowered_by(client, call))
        return REQUEST_PLAIN;
    client->session.tx_lowers |= client->session.tx_open;
    limiter_note_lowered(client->worker->limiter);
    client->lowers |= client->session.overflow;
    return client->session.overflow ? REQUEST_PLAIN : REQUEST_LOWERS;
}

/* What may go as another command though no key says so. False: as it is. */
static bool rewrite(struct client *client, struct lane *lane, const struct call *call, size_t *used)
{
    if (client->worker->settings->rewritten[call->row->index] == REWRITE_SCRIPT)
        return adopt_dispatch(client, lane, call, used) || repair_show_dispatch(client, lane, call, used);
    *used = call->len;
    return visible_dispatch(client, lane, call);
}

size_t dispatch_plain(struct client *client, const struct call *call)
{
    bool unread = client->conn.armed_write || client->conn.out.len > client->worker->settings->reply_buffer;
    size_t used = 0;
    struct lane *lane;

    if (unread && !client->throttles && !go_aside(client, call, &used))
        return used;
    lane = choose_lane(client);
    if (!lane || must_wait(client, lane))
        return 0;
    if (call->row->cls == COMMAND_LIMIT)
        return limit_dispatch(client, lane, call);
    if (settings_may_repair(client->worker->settings, call->row, call->sub, call->sub_len) &&
        repair_dispatch(client, lane, call, &used))
        return used;
    if (client->worker->settings->rewritten[call->row->index] && rewrite(client, lane, call, &used))
        return used;
    if (script_cache_wants(client->worker->scripts, call->row) && script_send(client, lane, call))
        return call->len;
    if (command_info_wants(call->row) && command_info_take(client, lane, call, &used))
        return used;
    client_send(client, lane, dispatch_plain_kind(client, call), call->bytes, call->len);
    return call->len;
}

/* Commands that must not queue behind what they are meant to stop. */
static size_t dispatch_control(struct client *client, const struct call *call)
{
    struct lane_key key = client->pool->key;
    size_t used = 0;

    if (client->pin && pin_is_held(client))
        return dispatch_plain(client, call);
    lane_key_select(&key, 0); /* the effect is the same, and SELECT would fail while a script runs */
    if (!pin_acquire(client, pool_get(client->worker, &key), call, &used))
        return used;
    client_send(client, client->pin, REQUEST_ONCE, call->bytes, call->len);
    client_shut(client, GATE_DRAIN);
    return call->len;
}

static size_t dispatch_shared(struct client *client, const struct call *call)
{
    return call->row->lane == COMMAND_ON_CONTROL ? dispatch_control(client, call) : dispatch_plain(client, call);
}

/* BLOCK as an option, which stands before STREAMS: a stream may be called BLOCK. */
static bool asks_to_block(const struct call *call)
{
    const uint8_t *arg;
    size_t len;

    for (uint32_t i = 1; call_arg(call, i, &arg, &len); i++) {
        if (arg_is(arg, len, "STREAMS"))
            return false;
        if (arg_is(arg, len, "BLOCK"))
            return true;
    }
    return false;
}

static size_t dispatch_on_pin(struct client *client, const struct call *call)
{
    size_t used = 0;

    if (!client_drained(client) || !pin_acquire(client, client->pool, call, &used))
        return used;
    return pin_start(client, call);
}

static size_t dispatch_multi(struct client *client, const struct call *call)
{
    struct lane *lane;
    size_t used;

    if (call->argc != 1)
        return dispatch_plain(client, call);
    lane = choose_lane(client);
    if (!lane || must_wait(client, lane))
        return 0;
    used = burst_try(client, call, lane);
    return used ? used : dispatch_on_pin(client, call);
}

static size_t dispatch_pin_class(struct client *client, const struct call *call)
{
    if (!command_arity_ok(call->row, call->argc))
        return dispatch_plain(client, call); /* the backend's own error, and nothing more */
    switch (call->row->id) {
    case CMD_MULTI:
        return dispatch_multi(client, call);
    case CMD_EXEC:
    case CMD_DISCARD:
        return dispatch_plain(client, call); /* not in a transaction: an error */
    case CMD_UNSUBSCRIBE:
    case CMD_PUNSUBSCRIBE:
    case CMD_SUNSUBSCRIBE:
        return local_unsubscribe(client, call);
    case CMD_XREAD:
    case CMD_XREADGROUP:
    case CMD_TS_READ:
        return asks_to_block(call) ? dispatch_on_pin(client, call) : dispatch_plain(client, call);
    case CMD_UNKNOWN:
        return foreign_may_share(client->worker->foreign, call) ? dispatch_plain(client, call)
                                                                : dispatch_on_pin(client, call);
    case CMD_WAIT:
    case CMD_WAITAOF:
        return pin_wait_command(client, call);
    default:
        return dispatch_on_pin(client, call);
    }
}

static size_t dispatch_local_class(struct client *client, const struct call *call)
{
    bool always_here = call->row->id == CMD_CLIENT_MAINT_NOTIFICATIONS;

    if (!always_here && !command_arity_ok(call->row, call->argc))
        return dispatch_plain(client, call); /* the backend's own error */
    if (!client_drained(client))
        return 0;
    return local_dispatch(client, call);
}

static size_t dispatch_by_class(struct client *client, const struct call *call)
{
    switch ((enum command_class)call->row->cls) {
    case COMMAND_SHARED:
    case COMMAND_LIMIT:
        return dispatch_shared(client, call);
    case COMMAND_PIN:
        return dispatch_pin_class(client, call);
    case COMMAND_LOCAL:
    case COMMAND_REWRITE:
        return dispatch_local_class(client, call);
    case COMMAND_REFUSE:
        return dispatch_on_pin(client, call); /* allowed by configuration */
    }
    return 0;
}

/* Whether the command must not go to the backend now: what it is answered instead. */
static bool answer_for_backend(struct client *client, const struct call *call, size_t *used)
{
    const struct worker *worker = client->worker;
    bool here = call->row->cls == COMMAND_LOCAL || call->row->cls == COMMAND_REWRITE;

    if (here || !(client->must_be_told || worker->hopeless) || client->pin)
        return false;
    *used = 0;
    if (!client_drained(client))
        return true;
    if (client->must_be_told) {
        client->must_be_told = false;
        *used = dispatch_unserved(client, call, reply_text_rgstate_dataset, &client->worker->counters.state);
    } else if (call->row->cls == COMMAND_LIMIT) {
        *used = limit_dispatch_down(client, call);
    } else if (!repair_dispatch_down(client, call, used) && !adopt_dispatch_down(client, call, used)) {
        *used = dispatch_unserved(client, call, reply_text_rgunavail, &client->worker->counters.unavailable);
    }
    return true;
}

/*
 * For the slow log: how the key of a request begins that has no other one before it. As often as there are commands, so
 * in two moves that may overlap, and without calling memcpy for it.
 */
static void note_key(struct client *client, const struct call *call)
{
    size_t len = call->sub_len < CLIENT_KEY_LEN ? call->sub_len : CLIENT_KEY_LEN;
    const uint8_t *key = call->sub;

    client->key_command = call->row;
    client->key_len = (uint8_t)len;
    if (len >= 8) {
        memcpy(client->key, key, 8);
        memcpy(client->key + len - 8, key + len - 8, 8);
    } else if (len >= 4) {
        memcpy(client->key, key, 4);
        memcpy(client->key + len - 4, key + len - 4, 4);
    } else if (len) {
        client->key[0] = (char)key[0];
        client->key[len / 2] = (char)key[len / 2];
        client->key[len - 1] = (char)key[len - 1];
    }
}

static size_t dispatch_call(struct client *client, const struct call *call)
{
    const struct command *row = call->row;
    bool wait = false;
    size_t used = 0;

    client->last_command = row;
    if (!client->inflight)
        note_key(client, call);
    if (client->leaving && !client_drained(client))
        return 0; /* what it asks from now on is for the backend it goes to, also when it has a lane of its own */
    if (row->id == CMD_POST || row->id == CMD_HOST) {
        if (client_drained(client))
            client_close(client, "HTTP request");
        return 0;
    }
    if (auth_is_due(client, row, &wait)) {
        if (!client_drained(client))
            return 0;
        client_answer_error(client, row->id == CMD_EXEC ? reply_text_noauth_exec : reply_text_noauth,
                            &client->worker->counters.denied);
        return call->len;
    }
    if (wait)
        return 0;
    if (row->flags & COMMAND_ADMIN)
        auth_note(client->worker, row);
    if (row->id == CMD_QUIT && !(client->pin && client->pin->tunnel))
        return local_quit(client, call); /* in a tunnel, only the backend knows which replies are still to come */
    if (row->id == CMD_RESET && call->argc == 1)
        return local_reset(client, call);
    if (client->pin && pin_has_state(client))
        return session_dispatch(client, call);
    if (client->worker->settings->refused[row->index])
        return dispatch_refused(client, call);
    if (answer_for_backend(client, call, &used))
        return used;
    return dispatch_by_class(client, call);
}

static void find_row(struct call *call)
{
    call->row = command_find(call->name, call->name_len, call->sub, call->sub_len);
}

/* A line typed by hand: re-framed, because only canonical frames are passed on. */
static size_t dispatch_inline(struct client *client, const uint8_t *bytes, size_t len)
{
    size_t line_len = len - 1;
    struct arg_cursor cursor = {0};
    struct call call = {.cursor = &cursor};
    struct request_args args;
    uint8_t *array;
    size_t used = 0;

    if (line_len && bytes[line_len - 1] == '\r')
        line_len--;
    array = malloc(inline_array_bound(line_len));
    if (!array)
        return 0;
    switch (inline_to_array(bytes, line_len, array, &call.len)) {
    case INLINE_EMPTY:
        used = len;
        break;
    case INLINE_UNBALANCED:
        if (client_drained(client)) {
            client_answer_error(client, reply_text_unbalanced, &client->worker->counters.denied);
            client_finish(client, "unbalanced quotes");
        }
        break;
    case INLINE_OK:
        call.bytes = array;
        call.available = call.len;
        request_args_start(&args, array, call.len);
        call.argc = args.left;
        request_args_next(&args, &call.name, &call.name_len);
        request_args_next(&args, &call.sub, &call.sub_len);
        find_row(&call);
        used = dispatch_call(client, &call) ? len : 0;
        break;
    }
    free(array);
    return used;
}

size_t dispatch(struct client *client, const uint8_t *bytes, size_t len, size_t available)
{
    const struct request_scan *scan = &client->scan;
    struct arg_cursor cursor = {0};
    struct call call = {.bytes = bytes, .len = len, .available = available, .argc = scan->argc, .cursor = &cursor};

    if (scan->is_inline)
        return dispatch_inline(client, bytes, len);
    if (!scan->argc)
        return len;
    call.name = bytes + scan->arg[0].off;
    call.name_len = scan->arg[0].len;
    if (scan->argc > 1) {
        call.sub = bytes + scan->arg[1].off;
        call.sub_len = scan->arg[1].len;
    }
    find_row(&call);
    return dispatch_call(client, &call);
}
