#include "proxy/flow/client.h"
#include "proxy/flow/adopt.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/flow/command_info.h"
#include "proxy/flow/limit.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/repair.h"
#include "proxy/flow/script_cache.h"
#include "proxy/flow/slowlog.h"
#include "proxy/flow/switch.h"
#include "proxy/flow/tour.h"
#include "proxy/net/log.h"
#include "proxy/net/owner.h"

static size_t on_input(struct conn *conn, const uint8_t *bytes, size_t len);
static void on_eof(struct conn *conn);
static void on_conn_lost(struct conn *conn, const char *reason);
static void on_drained(struct conn *conn);
static void check_end(struct client *client);
static void on_reply(struct requester *owner, struct lane *lane, struct request *request, const uint8_t *bytes,
                     size_t len, bool last);
static void on_request_lost(struct requester *owner, struct lane *lane, struct request *request,
                            enum request_loss loss);

static const struct conn_ops client_conn_ops = {
    .on_input = on_input,
    .on_eof = on_eof,
    .on_lost = on_conn_lost,
    .on_drained = on_drained,
};

static const struct requester_ops client_requester_ops = {.on_reply = on_reply, .on_lost = on_request_lost};

static struct client *from_requester(struct requester *requester)
{
    return OWNER_OF(requester, struct client, requester);
}

/* --- life --- */

static void on_pool(struct pool_waiter *waiter, enum pool_outcome outcome)
{
    struct client *client = OWNER_OF(waiter, struct client, pool_waiter);

    client->has_outcome = true;
    client->outcome = outcome;
    if (outcome == POOL_GRANTED && waiter->wants_pin) {
        client->has_outcome = false;
        if (!client->pin) /* the target of a redirection may have been given one meanwhile */
            client->pin = pool_try_pin(waiter->granted_by, &client->holder);
    }
    client_open_gate(client);
}

static void on_lane_room(struct lane_waiter *waiter)
{
    struct client *client = OWNER_OF(waiter, struct client, lane_waiter);
    struct lane *lane = client->waits_for;

    client->waits_for = NULL;
    client_open_gate(client);
    lane_unref(lane);
}

void client_accept(struct worker *worker, int fd, bool is_unix)
{
    struct client *client = calloc(1, sizeof(*client));

    if (!client)
        end_out_of_memory(sizeof(*client));
    conn_init(&client->conn, &worker->loop, &client_conn_ops, LOOP_FLUSH_LAST);
    client->requester.ops = &client_requester_ops;
    client->holder.ops = &client_holder_ops;
    STAILQ_INIT(&client->limit_calls);
    client->pool_waiter.done = on_pool;
    client->lane_waiter.wake = on_lane_room;
    client->worker = worker;
    client->id = atomic_fetch_add(&worker->crew->next_client, 1) + 1;
    client->created_ms = client->active_ms = loop_now_ms(&worker->loop);
    client->is_unix = is_unix;
    client->authenticated = worker->settings->auth == AUTH_NONE;
    TAILQ_INSERT_TAIL(&worker->clients, client, link);
    client_move_to_pool(client, auth_first_pool(worker));
    count(worker, clients_accepted);
    conn_adopt(&client->conn, fd);
}

static void free_client(struct reapable *reapable)
{
    free(OWNER_OF(reapable, struct client, reapable));
}

static void free_when_done(struct client *client)
{
    bool queued = client->reapable.free; /* dropping its pin may have ended its last request */

    if (client->state != CLIENT_GONE || client->inflight || queued)
        return;
    client->reapable.free = free_client;
    loop_reap(&client->worker->loop, &client->reapable);
}

static void stop_waiting(struct client *client)
{
    pool_stop_waiting(&client->pool_waiter);
    if (client->waits_for) {
        lane_stop_waiting(client->waits_for, &client->lane_waiter);
        lane_unref(client->waits_for);
        client->waits_for = NULL;
    }
}

void client_close(struct client *client, const char *reason)
{
    struct worker *worker = client->worker;

    if (client->state == CLIENT_GONE)
        return;
    log_write(LOG_DEBUG, "client closed", LOG_NUM("client", client->id), LOG_TEXT("reason", reason),
              LOG_NUM("in_flight", client->inflight));
    client->state = CLIENT_GONE;
    stop_waiting(client);
    throttle_end(client);
    limit_wait_end(client);
    client->lowers |= client->session.tx_lowers;
    if (client->at_eof)
        repair_left(client);
    limit_forget(client);
    client_leave_lane(client);
    pin_drop(client);
    client->pool->n_clients--;
    client_names_free(client);
    script_forget(client);
    command_info_forget(client);
    tour_forget(client);
    conn_close(&client->conn);
    TAILQ_REMOVE(&worker->clients, client, link);
    atomic_fetch_sub(&worker->crew->clients, 1);
    count(worker, clients_closed);
    free_when_done(client);
    worker_client_gone(worker);
}

void client_finish(struct client *client, const char *reason)
{
    if (client->state != CLIENT_OPEN)
        return;
    client->state = CLIENT_FINISHING;
    conn_pause(&client->conn);
    conn_flush(&client->conn);
    if (client->state != CLIENT_FINISHING)
        return;
    if (!client->conn.out.len) {
        client_close(client, reason);
        return;
    }
    client->throttled_ms = loop_now_ms(&client->worker->loop);
    conn_notify_drained(&client->conn, 0);
}

void client_leave_lane(struct client *client)
{
    lane_unref(client->lane);
    client->lane = NULL;
}

void client_move_to_pool(struct client *client, struct pool *pool)
{
    if (client->pool == pool)
        return;
    client_leave_lane(client);
    pin_drop(client);
    if (client->pool)
        client->pool->n_clients--;
    client->pool = pool;
    pool->n_clients++;
}

/* --- gates --- */

void client_shut(struct client *client, enum gate gate)
{
    client->gate = gate;
    conn_pause(&client->conn);
}

void client_open_gate(struct client *client)
{
    if (client->state != CLIENT_OPEN)
        return;
    client->gate = GATE_OPEN;
    conn_resume(&client->conn);
}

bool client_drained(struct client *client)
{
    if (!client->inflight)
        return true;
    client_shut(client, GATE_DRAIN);
    return false;
}

void client_wait_for_lane(struct client *client, struct lane *lane)
{
    client->waits_for = lane;
    lane_ref(lane);
    lane_wait(lane, &client->lane_waiter);
    client_shut(client, GATE_LANE);
}

bool client_waits_for_lane(struct client *client, struct lane *lane)
{
    if (!lane_is_congested(lane))
        return false;
    client_wait_for_lane(client, lane);
    return true;
}

/* --- input --- */

static void protocol_error(struct client *client)
{
    uint8_t text[128];
    struct reply_writer w = {.bytes = text, .cap = sizeof(text)};

    if (!client_drained(client))
        return;
    count(client->worker, protocol_errors);
    reply_protocol_error(&w, &client->scan);
    if (!client_is_muted(client))
        conn_write(&client->conn, text, w.len);
    client_finish(client, "protocol error");
}

/* Whether a whole command is at the front. False: more must come, or the client is done. */
static bool scan_command(struct client *client, const uint8_t *bytes, size_t len)
{
    struct request_limits limits = client->worker->settings->limits;
    size_t scanned = (size_t)client->scan.pos;

    limits.authenticated = client->authenticated;
    switch (request_scan(&client->scan, bytes + scanned, len - scanned, &limits)) {
    case RESP_DONE:
        return true;
    case RESP_MORE:
        return false;
    case RESP_ERROR:
        protocol_error(client);
        return false;
    }
    return false;
}

static void command_taken(struct client *client)
{
    client->scanned = client->has_outcome = false;
    client->waits_since_ms = 0;
    if (client->wait)
        limit_wait_end(client);
    request_scan_reset(&client->scan);
    if (client->reply_mode == REPLY_SKIP_THIS)
        client->reply_mode = REPLY_ON;
    else if (client->reply_mode == REPLY_SKIP_NEXT)
        client->reply_mode = REPLY_SKIP_THIS;
}

/* Takes one command, or a part of a large one. Returns the bytes consumed, 0 when there is nothing to take now. */
static size_t take(struct client *client, const uint8_t *bytes, size_t len)
{
    if (client->streaming)
        return stream_continue(client, bytes, len);
    if (!client->scanned) {
        client->scanned = scan_command(client, bytes, len);
        if (!client->scanned && client->gate == GATE_OPEN && client->state == CLIENT_OPEN &&
            client->scan.pos >= client->worker->settings->stream_threshold)
            return stream_begin(client, bytes, len);
        if (!client->scanned)
            return 0;
    }
    size_t used = dispatch(client, bytes, (size_t)client->scan.pos, len);
    if (used)
        command_taken(client);
    return used;
}

static size_t on_input(struct conn *conn, const uint8_t *bytes, size_t len)
{
    struct client *client = client_of(conn);
    size_t used = 0;

    client->active_ms = loop_now_ms(conn->loop);
    while (used < len && client->gate == GATE_OPEN && client->state == CLIENT_OPEN) {
        size_t n = take(client, bytes + used, len - used);
        if (!n)
            break;
        used += n;
    }
    if (client->blocked)
        check_end(client); /* its end may have come while the command waited for a pin */
    if (client->worker->draining && used == len && !client->inflight && client->gate == GATE_OPEN)
        client_finish(client, "draining");
    return used;
}

/*
 * The client sends nothing more: it is closed once what it sent has been answered. Only who waits within a command, or
 * within sending one, is closed at once, as a server does.
 */
static void check_end(struct client *client)
{
    if (!client->at_eof || client->state != CLIENT_OPEN)
        return;
    if (client->blocked || client->streaming) {
        client_close(client, "client closed its side");
        return;
    }
    if (!client->inflight && client->gate == GATE_OPEN && !client->conn.is_ready)
        client_finish(client, "client closed its side");
}

static void on_eof(struct conn *conn)
{
    struct client *client = client_of(conn);
    client->at_eof = true;
    check_end(client);
}

static void on_conn_lost(struct conn *conn, const char *reason)
{
    struct client *client = client_of(conn);

    client->at_eof = true;
    client_close(client, reason);
}

static void on_drained(struct conn *conn)
{
    struct client *client = client_of(conn);

    if (client->state == CLIENT_FINISHING) {
        client_close(client, "finished");
        return;
    }
    throttle_end(client);
    client->session.overflow = false;
    if (client->gate == GATE_READ)
        client_open_gate(client);
    pin_release_if_free(client);
}

/* --- requests --- */

/* So many requests less in flight: what waited for that goes on. */
static void requests_ended(struct client *client, uint32_t n)
{
    client->inflight -= n;
    if (client->state == CLIENT_GONE) {
        free_when_done(client);
        return;
    }
    if (client->gate == GATE_DEPTH && client->inflight <= client->worker->settings->pipeline_depth / 2)
        client_open_gate(client);
    if (client->inflight)
        return;
    client->blocked = client->lowers = false;
    if (client->pin)
        pin_release_if_free(client);
    if (client->leaving && !switch_client(client))
        return;
    if (client->gate == GATE_DRAIN)
        client_open_gate(client);
    if (client->at_eof)
        check_end(client);
    if (client->worker->draining && client->gate == GATE_OPEN && !conn_kept_input(&client->conn))
        client_finish(client, "draining");
}

/* Hardly ever, so that it costs others one look. */
static bool is_held_back(struct client *client, const uint8_t *bytes, size_t len)
{
    return client->limit_resent && limit_holds_back(client, bytes, len);
}

static void on_reply(struct requester *owner, struct lane *lane, struct request *request, const uint8_t *bytes,
                     size_t len, bool last)
{
    struct client *client = from_requester(owner);
    struct worker *worker = client->worker;
    bool ended = last && (request->run || !request->replies);

    if (client->state == CLIENT_GONE) {
        if (!ended)
            return;
        if (request->kind == REQUEST_LOWERS || client->lowers)
            limiter_note_lowered(worker->limiter);
        count(worker, client_gone);
        count(worker, tombstones);
        requests_ended(client, 1);
        return;
    }
    if (client->lowers)
        limiter_note_lowered(worker->limiter);
    bool handled = request->kind != REQUEST_PLAIN && session_on_reply(client, lane, request, bytes, len, last);
    if (!handled && !request->muted && !is_held_back(client, bytes, len))
        conn_write(&client->conn, bytes, len);
    if (client->conn.out.len > worker->settings->reply_buffer)
        throttle_lane(client, lane);
    if (!ended)
        return;
    if (request->slow)
        slowlog_note(client, lane, request, "replied");
    if (client->state == CLIENT_GONE)
        count(worker, client_gone);
    else if (!client->not_replied)
        count(worker, replied);
    client->not_replied = false;
    requests_ended(client, 1);
}

static void count_loss(struct client *client, const struct request *request, enum error_code code, uint32_t n)
{
    struct counters *counters = &client->worker->counters;

    counter_add(code == ERROR_CODE_RGUNAVAIL ? &counters->unavailable
                : code == ERROR_CODE_RGSTATE ? &counters->state
                                             : &counters->unknown,
                n);
    client_count_failure(client, request->class, code, n);
}

static void answer_loss(struct client *client, const struct request *request, const char *text)
{
    uint8_t bytes[256];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof(bytes)};

    reply_error(&w, text);
    if (!request->muted && !is_held_back(client, bytes, w.len))
        conn_write(&client->conn, bytes, w.len);
}

static void on_request_lost(struct requester *owner, struct lane *lane, struct request *request, enum request_loss loss)
{
    struct client *client = from_requester(owner);
    struct worker *worker = client->worker;
    bool pinned = lane == client->pin;
    bool in_session = pinned && (client->blocked || pin_has_state(client)) && request->kind != REQUEST_EXEC;
    uint32_t n = request->run ? request->replies : 1;

    if (loss == REQUEST_TIMEOUT && client->state != CLIENT_GONE && worker->settings->slow_us != UINT32_MAX)
        slowlog_note(client, lane, request, "timeout");

    if (request->kind == REQUEST_SCRIPT)
        script_on_lost(client);
    else if (request->kind == REQUEST_LIMIT)
        limit_on_lost(client);
    else if (request->kind == REQUEST_LOWERS || client->session.tx_lowers || client->lowers)
        limiter_note_lowered(worker->limiter);
    else if (request->kind == REQUEST_COMMAND)
        command_info_forget(client);
    if (client->state == CLIENT_GONE) {
        counter_add(&worker->counters.client_gone, n);
    } else if (request->kind == REQUEST_LIMIT && !in_session &&
               (repair_answer_lost(client, lane, request, loss) || adopt_answer_lost(client, lane, request, loss))) {
        counter_add(&worker->counters.replied, n);
    } else if (loss == REQUEST_UNSENT) {
        count_loss(client, request, ERROR_CODE_RGUNAVAIL, n);
        answer_loss(client, request, reply_text_rgunavail);
    } else if (request->begun) {
        count_loss(client, request, ERROR_CODE_RGUNKNOWN, n);
        client_close(client, "backend lost within a reply");
    } else if (worker->settings->close_on_unknown) {
        count_loss(client, request, in_session ? ERROR_CODE_RGSTATE : ERROR_CODE_RGUNKNOWN, n);
        client_close(client, "backend lost");
    } else if (in_session) {
        count_loss(client, request, ERROR_CODE_RGSTATE, n);
        answer_loss(client, request, reply_text_rgstate);
        client_finish(client, "backend lost with session state");
    } else {
        count_loss(client, request, ERROR_CODE_RGUNKNOWN, n);
        answer_loss(client, request, reply_text_rgunknown);
        if (client->streaming || request->run || (pinned && pin_has_state(client)))
            client_finish(client, "backend lost");
    }
    if (request->kind == REQUEST_LIMIT)
        limit_told_lost(client);
    /* What it was to guard may be on its way already, and must not run without. */
    if (client->state != CLIENT_GONE && (request->kind == REQUEST_MULTI || request->kind == REQUEST_WATCH))
        client_finish(client, "backend lost when a transaction began");
    requests_ended(client, n);
}
