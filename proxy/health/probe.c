/* A check: its connection, its time limit, its end. What is asked and how answers are read: probe_steps.c. */
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/health/backend.h"
#include "proxy/health/probe_parts.h"
#include "proxy/net/conn.h"
#include "proxy/net/loop.h"
#include "proxy/net/owner.h"
#include "proxy/net/tls.h"
#include "proxy/watch/meter.h"

enum { REPLY_MAX = 65536, NAME_WAIT_MS = 5 };

static size_t on_input(struct conn *conn, const uint8_t *bytes, size_t len);
static void on_eof(struct conn *conn);
static void on_lost(struct conn *conn, const char *reason);
static void on_connected(struct conn *conn);
static void on_drained(struct conn *conn);

static const struct conn_ops probe_conn_ops = {
    .on_input = on_input,
    .on_eof = on_eof,
    .on_lost = on_lost,
    .on_connected = on_connected,
    .on_drained = on_drained,
};

const char *probe_step_name(enum probe_step step)
{
    static const char *const names[PROBE_STEPS] = {"dns", "tcp", "tls", "auth", "ping", "role", "clock", "dataset"};

    assert(step < PROBE_STEPS);
    return names[step];
}

static struct probe *probe_of(struct conn *conn)
{
    return OWNER_OF(conn, struct probe, conn);
}

/* --- life --- */

static void on_limit(evutil_socket_t fd, short what, void *arg);
static void on_attempt(evutil_socket_t fd, short what, void *arg);
static void on_name_wait(evutil_socket_t fd, short what, void *arg);

struct probe *probe_new(struct loop *loop, struct backend *backend, probe_done *done, void *arg)
{
    struct probe *probe = calloc(1, sizeof(*probe));

    if (!probe)
        return NULL;
    conn_init(&probe->conn, loop, &probe_conn_ops, LOOP_FLUSH_LAST);
    probe->conn.traffic = &backend->tally->traffic;
    probe->loop = loop;
    probe->backend = backend;
    probe->done = done;
    probe->arg = arg;
    probe->limit = event_new(loop->base, -1, 0, on_limit, probe);
    probe->attempt = event_new(loop->base, -1, 0, on_attempt, probe);
    probe->name_wait = event_new(loop->base, -1, 0, on_name_wait, probe);
    if (probe->limit && probe->attempt && probe->name_wait)
        return probe;
    probe_free(probe);
    return NULL;
}

static void disconnect(struct probe *probe)
{
    probe->named = probe->selecting = probe->greeting = probe->clockless = false;
    event_del(probe->attempt);
    conn_close(&probe->conn);
    if (probe->reader)
        redisReaderFree(probe->reader);
    probe->reader = NULL;
}

void probe_reset(struct probe *probe)
{
    probe->running = false;
    event_del(probe->limit);
    event_del(probe->name_wait);
    disconnect(probe);
}

void probe_free(struct probe *probe)
{
    if (!probe)
        return;
    if (probe->attempt)
        disconnect(probe);
    if (probe->limit)
        event_free(probe->limit);
    if (probe->attempt)
        event_free(probe->attempt);
    if (probe->name_wait)
        event_free(probe->name_wait);
    free(probe);
}

bool probe_is_running(const struct probe *probe)
{
    return probe->running;
}

/* --- the end of a check --- */

void probe_finish(struct probe *probe)
{
    struct probe_result result = probe->result;

    probe->running = false;
    event_del(probe->limit);
    event_del(probe->name_wait);
    probe->done(probe->arg, &result);
}

/* What a backend says of itself must not command a terminal. */
static void set_text(struct probe *probe, const char *text)
{
    snprintf(probe->result.text, sizeof(probe->result.text), "%s", text);
    for (char *c = probe->result.text; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
}

static bool is_connecting(const struct probe *probe)
{
    return probe->step == PROBE_TCP || probe->step == PROBE_TLS;
}

/* Connecting is one step of ours; its second half is the handshake. */
static enum probe_step current_step(const struct probe *probe)
{
    if (!is_connecting(probe))
        return probe->step;
    return probe->conn.handshaking ? PROBE_TLS : PROBE_TCP;
}

static void count_failed_handshake(struct probe *probe)
{
    const struct conn *conn = &probe->conn;

    counter_add(&probe->backend->tally->handshakes.failed, conn_is_open(conn) && conn->handshaking);
}

void probe_fail(struct probe *probe, enum health_cause cause, const char *text)
{
    count_failed_handshake(probe);
    probe->result.step = current_step(probe);
    probe->result.cause = cause;
    set_text(probe, text);
    disconnect(probe);
    probe_finish(probe);
}

static void arm_limit(struct probe *probe, int64_t in_us)
{
    struct timeval in = {.tv_sec = in_us / 1000000, .tv_usec = in_us % 1000000};

    event_add(probe->limit, &in);
}

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
    struct probe *probe = arg;
    enum probe_step step = current_step(probe);
    int64_t left_us = probe->limit_us - clock_now_us();
    char text[160];

    (void)fd, (void)what;
    if (left_us > 0) { /* timers go by a coarse clock, read before: deadlines were made of this one */
        arm_limit(probe, left_us);
        return;
    }
    /* A server without TLS waits for the end of a line, which a greeting of TLS may never have. */
    snprintf(text, sizeof(text), "no answer at %s within %u ms%s", probe_step_name(step), probe->limit_ms,
             step == PROBE_TLS ? "; if the backend does not speak TLS, the URL must begin with redis://" : "");
    probe_fail(probe, probe->step == PROBE_DNS ? CAUSE_DNS : CAUSE_TIMEOUT, text);
}

/* --- the connection --- */

/* A reset comes of a listener that closes just then. */
static enum health_cause cause_of_connect(const char *reason)
{
    if (!strcmp(reason, strerror(ECONNREFUSED)))
        return CAUSE_REFUSED;
    return !strcmp(reason, strerror(ECONNRESET)) ? CAUSE_LOST : CAUSE_CONNECT;
}

static void connect_next(struct probe *probe);

/* Another address may do better, unless the whole check has ended. */
static void lose(struct probe *probe, enum health_cause cause, const char *reason)
{
    const struct backend_addresses *addresses = atomic_load(&probe->backend->addresses);

    if (!is_connecting(probe) || probe->attempts >= addresses->count) {
        probe_fail(probe, cause, reason);
        return;
    }
    count_failed_handshake(probe);
    disconnect(probe);
    connect_next(probe);
}

static void on_attempt(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    lose(arg, CAUSE_TIMEOUT, "no answer");
}

/* An address that never answers must leave time for those behind it; the last one has all that is left. */
static void limit_attempt(struct probe *probe, size_t count)
{
    int64_t left_us = (int64_t)probe->limits.connect_ms * 1000 - (clock_now_us() - probe->began_us);
    struct timeval in;

    if (probe->attempts >= count || left_us <= 0)
        return;
    left_us /= (int64_t)(count - probe->attempts + 1);
    in = (struct timeval){.tv_sec = left_us / 1000000, .tv_usec = left_us % 1000000};
    event_add(probe->attempt, &in);
}

static void connect_next(struct probe *probe)
{
    const struct backend_addresses *addresses = atomic_load(&probe->backend->addresses);
    const struct sockaddr *address;
    size_t i = probe->address++ % addresses->count;

    probe->attempts++;
    address = (const struct sockaddr *)&addresses->at[i].address;
    backend_use_tls(probe->backend, &probe->conn);
    if (probe->afresh && probe->conn.tls)
        tls_forgo_session(probe->conn.tls);
    limit_attempt(probe, addresses->count);
    if (!conn_connect(&probe->conn, address, addresses->at[i].len))
        lose(probe, cause_of_connect(strerror(errno)), strerror(errno));
}

/*
 * Only TIME has an array for an answer, a short and flat one. hiredis would allocate what a header announces, and touch
 * all of it when it lets go.
 */
#if HIREDIS_MAJOR >= 1
static void *create_array(const redisReadTask *task, size_t elements)
#else
static void *create_array(const redisReadTask *task, int elements)
#endif
{
    const struct probe *probe = task->privdata;

    return elements <= PROBE_ARRAY_MAX && !task->parent ? probe->create_array(task, elements) : NULL;
}

static bool make_reader(struct probe *probe)
{
    probe->reader = redisReaderCreate();
    if (!probe->reader)
        return false;
    probe->functions = *probe->reader->fn;
    probe->create_array = probe->functions.createArray;
    probe->functions.createArray = create_array;
    probe->reader->privdata = probe;
    probe->reader->fn = &probe->functions;
    return true;
}

static void on_connected(struct conn *conn)
{
    struct probe *probe = probe_of(conn);

    if (conn->tls)
        backend_note_handshake(probe->backend, &probe->backend->tally->handshakes, conn->tls);
    probe->connected_us = clock_now_us();
    probe->afresh = false;
    event_del(probe->attempt);
    probe->address--; /* it was good: the next connection takes it again */
    if (!make_reader(probe)) {
        probe_fail(probe, CAUSE_CONNECT, "out of memory");
        return;
    }
    probe_go_on(probe);
}

static void take_reply(struct probe *probe, redisReply *reply)
{
    if (probe->named)
        probe->named = false;
    else
        probe_on_reply(probe, reply);
    freeReplyObject(reply);
}

static size_t on_input(struct conn *conn, const uint8_t *bytes, size_t len)
{
    struct probe *probe = probe_of(conn);
    void *reply = NULL;

    if (!probe->running) { /* nothing was asked */
        disconnect(probe);
        return len;
    }
    probe->received += len;
    if (redisReaderFeed(probe->reader, (const char *)bytes, len) || probe->received > REPLY_MAX) {
        probe_fail(probe, CAUSE_PROTOCOL, "the reply is too long");
        return len;
    }
    while (probe->running && probe->reader) {
        if (redisReaderGetReply(probe->reader, &reply)) {
            probe_fail(probe, CAUSE_PROTOCOL,
                       bytes[0] == 0x15 ? "it speaks TLS: the URL must begin with rediss://" : "the reply is not RESP");
            break;
        }
        if (!reply)
            break;
        take_reply(probe, reply);
    }
    return len;
}

static void on_eof(struct conn *conn)
{
    on_lost(conn, "the connection was closed by the backend");
}

/* What a plain connection to a TLS port looks like: it ends at the first command. */
static const char *explain_end(const struct probe *probe, const char *reason)
{
    if (!probe_is_new(probe) || probe->backend->url.tls || probe->received)
        return reason;
    return "the connection ended at the first command; if the backend speaks TLS, the URL must begin with rediss://";
}

/* A peer that went away refused nothing. */
static enum health_cause cause_of_handshake(const char *reason)
{
    return strstr(reason, "within the handshake") ? CAUSE_LOST : CAUSE_TLS;
}

/* In TLS 1.3 a backend looks at our certificate when our side of the handshake is over already. */
static bool is_late_refusal(const struct probe *probe, const char *reason)
{
    return !probe->received && probe->backend->url.tls && strstr(reason, "certificate");
}

static void on_lost(struct conn *conn, const char *reason)
{
    struct probe *probe = probe_of(conn);

    if (!probe->running) {
        disconnect(probe); /* the next check connects anew */
        return;
    }
    if (conn->handshaking || is_late_refusal(probe, reason))
        lose(probe, cause_of_handshake(reason), reason);
    else if (conn->connecting)
        lose(probe, cause_of_connect(reason), reason);
    else
        lose(probe, CAUSE_LOST, explain_end(probe, reason));
}

static void on_drained(struct conn *conn)
{
    (void)conn;
}

/* --- a check --- */

/* Waits for the first address of a name, or for the word that there is none. */
static void look_for_address(struct probe *probe)
{
    const struct backend_addresses *addresses = atomic_load(&probe->backend->addresses);
    const char *error = atomic_load(&probe->backend->resolve_error);
    struct timeval in = {.tv_usec = NAME_WAIT_MS * 1000};
    char text[256];

    if (addresses) {
        probe_end_step(probe);
        probe_begin_step(probe, probe->backend->url.tls ? PROBE_TLS : PROBE_TCP);
        connect_next(probe);
    } else if (error) {
        backend_ask_resolve(probe->backend);
        snprintf(text, sizeof(text), "the name %.128s is not resolved: %.64s", probe->backend->url.host, error);
        probe_fail(probe, CAUSE_DNS, text);
    } else {
        event_add(probe->name_wait, &in);
    }
}

static void on_name_wait(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    look_for_address(arg);
}

void probe_limit(struct probe *probe, uint32_t limit_ms)
{
    probe->limit_ms = limit_ms;
    probe->limit_us = clock_now_us() + (int64_t)limit_ms * 1000;
    arm_limit(probe, (int64_t)limit_ms * 1000);
}

static bool is_to_be_anew(const struct probe *probe)
{
    return conn_is_open(&probe->conn) && probe->conn.tls && probe->limits.anew_ms &&
           probe->began_us - probe->connected_us >= (int64_t)probe->limits.anew_ms * 1000;
}

void probe_start(struct probe *probe, const struct probe_limits *limits)
{
    assert(!probe->running);
    probe->running = true;
    probe->limits = *limits;
    probe->began_us = clock_now_us();
    probe->attempts = probe->received = 0;
    probe->clock_known = false;
    probe->result = (struct probe_result){.cause = CAUSE_NONE};
    for (unsigned i = 0; i < PROBE_STEPS; i++)
        probe->result.step_us[i] = -1;
    if (is_to_be_anew(probe)) {
        disconnect(probe);
        probe->afresh = true;
    }
    if (conn_is_open(&probe->conn)) {
        probe_start_step(probe, PROBE_PING);
        return;
    }
    probe_limit(probe, limits->connect_ms);
    probe_begin_step(probe, PROBE_DNS);
    look_for_address(probe);
}
