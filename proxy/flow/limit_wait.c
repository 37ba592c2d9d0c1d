/*
 * SEM.ACQUIRE ... WAIT ms: its command stays at the front of the client's input and is asked again until it is granted
 * or the time is over. So each attempt finds the backend, the lane and the settings of that moment, and what the client
 * sent behind it waits as it would behind any command.
 *
 *   ASKING ──(denied, time left)──> RESTING ──(timer, or a place became free here)──> ASKING
 *     └──(granted, an error, or the time is over)──> ANSWERED ──> given to the client
 *
 * The reply comes to the wait and not to the client. When the client goes away meanwhile, a place that is granted after
 * all is given back, and one in the queue is given up.
 *
 * Owner: its client; when that is gone, itself until the reply has come.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "limiter/limit_reply.h"
#include "protocol/reply.h"
#include "proxy/flow/client.h"
#include "proxy/flow/limit.h"
#include "proxy/flow/limit_book.h"
#include "proxy/flow/limit_notes.h"
#include "proxy/flow/limiter.h"
#include "proxy/net/log.h"
#include "proxy/watch/meter.h"

enum {
    REST_MS = 100,      /* how long to rest, when few wait */
    REST_MOST_MS = 900, /* a third of LIMITER_TICKET_MS at most */
    MANY = 16,          /* so many waiters are asked for within REST_MS */
    ERROR_MAX = 512,    /* of our own */
};

enum wait_state { WAIT_ASKING, WAIT_RESTING, WAIT_ANSWERED };

struct limit_wait {
    struct requester requester;
    TAILQ_ENTRY(limit_wait) link; /* while it has a client */
    struct limiter *limiter;
    struct client *client; /* NULL: gone */
    struct pool *pool;     /* where its key is; compared only */
    struct event *timer;
    _Atomic uint64_t *outcome; /* the counter of the answer */
    struct limit_note note;
    enum wait_state state;
    bool fair, in_flight, noted;
    bool by_digest; /* it was asked so last: then NOSCRIPT has it asked again */
    uint64_t until_ms;
    size_t reply_len;
    uint8_t *reply;
    const struct command *row;
    size_t len;
    uint8_t bytes[]; /* the command */
};

static void on_reply(struct requester *owner, struct lane *lane, struct request *request, const uint8_t *bytes,
                     size_t len, bool last);
static void on_lost(struct requester *owner, struct lane *lane, struct request *request, enum request_loss loss);

static const struct requester_ops wait_ops = {.on_reply = on_reply, .on_lost = on_lost};

static struct limit_wait *wait_of(struct requester *requester)
{
    return OWNER_OF(requester, struct limit_wait, requester);
}

static uint64_t now_ms(const struct limit_wait *wait)
{
    return loop_now_ms(&wait->limiter->worker->loop);
}

static void wait_free(struct limit_wait *wait)
{
    if (wait->client || wait->in_flight)
        return;
    event_free(wait->timer);
    free(wait->reply);
    free(wait);
}

/* The command is tried again. */
static void stir(struct limit_wait *wait)
{
    evtimer_del(wait->timer);
    if (wait->client)
        client_open_gate(wait->client);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    stir(context);
}

/* --- what the client gets --- */

static void answer(struct limit_wait *wait, const uint8_t *bytes, size_t len, _Atomic uint64_t *outcome)
{
    wait->state = WAIT_ANSWERED;
    wait->outcome = outcome;
    wait->reply = malloc(len);
    if (!wait->reply)
        end_out_of_memory(len);
    wait->reply_len = len;
    memcpy(wait->reply, bytes, len);
    stir(wait);
}

static void answer_error(struct limit_wait *wait, const char *text, _Atomic uint64_t *outcome)
{
    uint8_t bytes[ERROR_MAX];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof(bytes)};

    reply_error(&w, text);
    answer(wait, bytes, w.len, outcome);
}

/* --- giving back --- */

static bool parse(struct limit_wait *wait)
{
    return limiter_parse(wait->limiter, wait->row, wait->bytes, wait->len);
}

static void send_parsed(struct limit_wait *wait, struct lane *lane)
{
    size_t len = limiter_encode(wait->limiter, lane->pool->key.backend, LIMIT_EVAL, LIMIT_NEVER_US);

    lane_send_silent(lane, wait->limiter->out, len);
}

/* It does not stand in the queue any more. */
static void leave_queue(struct limit_wait *wait, struct lane *lane)
{
    if (!wait->fair || !lane || lane->state != LANE_READY || !parse(wait))
        return;
    limit_call_leave(&wait->limiter->call);
    send_parsed(wait, lane);
}

/* Nobody is there to use the place, unless the client has come back on another connection meanwhile. */
static void give_back(struct limit_wait *wait, struct lane *lane, int64_t fence)
{
    if (lane->state != LANE_READY || !parse(wait))
        return;
    limit_call_give_back(&wait->limiter->call, fence);
    send_parsed(wait, lane);
}

/* --- asking --- */

static uint64_t rest_ms(const struct limit_wait *wait, int64_t retry_ms)
{
    struct limiter *limiter = wait->limiter;
    uint64_t now = now_ms(wait), left = wait->until_ms > now ? wait->until_ms - now : 0;
    uint64_t rest = REST_MS + REST_MS * (uint64_t)(limiter->n_waits / MANY);

    if (rest > REST_MOST_MS)
        rest = REST_MOST_MS;
    rest = rest / 2 + worker_random(limiter->worker) % (rest / 2 + 1);
    if (retry_ms > 0 && (uint64_t)retry_ms < rest)
        rest = (uint64_t)retry_ms;
    return rest < left ? rest : left;
}

static void rest(struct limit_wait *wait, int64_t retry_ms)
{
    uint64_t ms = rest_ms(wait, retry_ms);
    struct timeval delay = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000) * 1000};

    wait->state = WAIT_RESTING;
    evtimer_add(wait->timer, &delay);
}

static bool has_time(const struct limit_wait *wait)
{
    return now_ms(wait) < wait->until_ms && !wait->limiter->worker->draining;
}

/* The backend has the last word. */
static void settle(struct limit_wait *wait, const uint8_t *bytes, size_t len)
{
    limit_note_reply(wait->limiter, &wait->note, wait->fair ? SCRIPT_sem_acquire_fifo : SCRIPT_sem_acquire, false,
                     bytes, len);
    wait->noted = true;
    answer(wait, bytes, len, &wait->limiter->worker->counters.replied);
}

static void on_denied(struct limit_wait *wait, struct lane *lane, const uint8_t *bytes, size_t len,
                      const int64_t fields[SEM_FIELDS])
{
    bool may_pass = fields[SEM_REASON] == REASON_LIMITED || fields[SEM_REASON] == REASON_QUEUED;

    if (may_pass && has_time(wait)) {
        rest(wait, fields[SEM_RETRY_MS]);
        return;
    }
    leave_queue(wait, lane);
    settle(wait, bytes, len);
}

static void on_verdict(struct limit_wait *wait, struct lane *lane, const uint8_t *bytes, size_t len)
{
    int64_t fields[SEM_FIELDS];

    if (wait->by_digest && reply_starts_with(bytes, len, "-NOSCRIPT ")) {
        memset(wait->limiter->loaded, 0, sizeof(wait->limiter->loaded));
        wait->state = WAIT_RESTING;
        stir(wait);
    } else if (reply_starts_with(bytes, len, "-RGUNAVAIL ") && has_time(wait)) {
        rest(wait, 0);
    } else if (limit_reply_read(bytes, len, fields, SEM_FIELDS) && !fields[SEM_GRANTED]) {
        on_denied(wait, lane, bytes, len, fields);
    } else {
        settle(wait, bytes, len);
    }
}

static void on_reply(struct requester *owner, struct lane *lane, struct request *request, const uint8_t *bytes,
                     size_t len, bool last)
{
    struct limit_wait *wait = wait_of(owner);
    int64_t fields[SEM_FIELDS];

    if (!last)
        return; /* no reply of these scripts is so long */
    wait->in_flight = false;
    if (wait->client) {
        limit_note_duration(wait->limiter->worker, &wait->note, request);
        on_verdict(wait, lane, bytes, len);
        return;
    }
    if (limit_reply_read(bytes, len, fields, SEM_FIELDS)) {
        if (fields[SEM_GRANTED] && !fields[SEM_ALREADY])
            give_back(wait, lane, fields[SEM_FENCE]);
        else if (!fields[SEM_GRANTED])
            leave_queue(wait, lane);
    }
    wait_free(wait);
}

/* The token makes asking again safe: who was granted a place gets the same one. */
static void on_lost(struct requester *owner, struct lane *lane, struct request *request, enum request_loss loss)
{
    struct limit_wait *wait = wait_of(owner);
    struct worker *worker = wait->limiter->worker;

    (void)lane, (void)request;
    wait->in_flight = false;
    if (!wait->client) {
        wait_free(wait);
        return;
    }
    if (has_time(wait))
        rest(wait, 0);
    else if (loss == REQUEST_UNSENT)
        answer_error(wait, reply_text_rgunavail, &worker->counters.unavailable);
    else
        answer_error(wait, reply_text_rgunknown, &worker->counters.unknown);
}

static struct limit_wait *begin(struct client *client, const struct call *call)
{
    struct limiter *limiter = client->worker->limiter;
    struct limit_wait *wait = calloc(1, sizeof(*wait) + call->len);

    if (wait)
        wait->timer = evtimer_new(client->worker->loop.base, on_timer, wait);
    if (!wait || !wait->timer)
        end_out_of_memory(sizeof(*wait) + call->len);
    wait->requester.ops = &wait_ops;
    wait->limiter = limiter;
    wait->client = client;
    wait->fair = limiter->call.fair;
    wait->state = WAIT_RESTING;
    wait->note = limit_note_of_call(limiter);
    wait->until_ms = loop_now_ms(&client->worker->loop) + (uint64_t)limiter->call.wait_ms;
    wait->row = call->row;
    wait->len = call->len;
    memcpy(wait->bytes, call->bytes, call->len);
    TAILQ_INSERT_TAIL(&limiter->waits, wait, link);
    limiter->n_waits++;
    client->wait = wait;
    client->blocked = client->has_worked = true;
    count(client->worker, limits);
    return wait;
}

static void ask(struct limit_wait *wait, struct lane *lane)
{
    struct limiter *limiter = wait->limiter;
    struct backend *backend = lane->pool->key.backend;
    enum limit_form form = limiter_form(limiter);
    size_t len = limiter_encode(limiter, backend, form, limiter_deadline_us(limiter, backend));

    wait->state = WAIT_ASKING;
    wait->by_digest = form == LIMIT_EVALSHA;
    wait->pool = lane->pool;
    wait->in_flight = true;
    if (backend->metered)
        counter_add(&lane->pool->meter->billed, 1);
    lane_send(lane, &wait->requester, 0, limiter->out, len)->class = REQUEST_CLASS_limiter;
}

size_t limit_wait_dispatch(struct client *client, struct lane *lane, const struct call *call)
{
    struct limit_wait *wait = client->wait;

    if (!client_drained(client))
        return 0;
    if (!wait)
        wait = begin(client, call);
    if (wait->state == WAIT_ANSWERED) {
        struct reply_writer reply = {.bytes = wait->reply, .len = wait->reply_len};
        bool is_ours = wait->outcome != &client->worker->counters.replied;
        (is_ours ? client_answer : client_pass_answer)(client, &reply, wait->outcome);
        return call->len;
    }
    if (wait->state == WAIT_RESTING)
        ask(wait, lane);
    client_shut(client, GATE_WAIT);
    return 0;
}

bool limit_wait_is_over(const struct client *client)
{
    return client->wait && client->wait->state == WAIT_ANSWERED;
}

void limit_wait_was_noted(struct client *client)
{
    if (client->wait)
        client->wait->noted = true;
}

void limit_wait_end(struct client *client)
{
    struct limit_wait *wait = client->wait;

    if (!wait)
        return;
    if (wait->state == WAIT_RESTING && client->state == CLIENT_GONE)
        leave_queue(wait, client->pin ? client->pin : client->lane);
    if (!wait->noted)
        limit_note_failed(&wait->note);
    client->wait = NULL;
    client->blocked = false;
    wait->client = NULL;
    evtimer_del(wait->timer);
    TAILQ_REMOVE(&wait->limiter->waits, wait, link);
    wait->limiter->n_waits--;
    wait_free(wait);
}

/* --- waking --- */

static bool has_key(struct limit_wait *wait, const uint8_t *key, size_t len)
{
    struct limiter *limiter = wait->limiter;

    return parse(wait) && limiter->call.keys[0].len == len && !memcmp(limiter->call.keys[0].bytes, key, len);
}

void limit_wait_wake(struct limiter *limiter, struct client *by, int64_t places)
{
    struct limit_key key = limiter->call.keys[0];
    uint8_t *copy = malloc(key.len + 1); /* the parser's room is used again */
    struct limit_wait *wait, *next;

    if (!copy)
        return;
    memcpy(copy, key.bytes, key.len);
    for (wait = TAILQ_FIRST(&limiter->waits); wait && places > 0; wait = next) {
        next = TAILQ_NEXT(wait, link);
        if (wait->state != WAIT_RESTING || wait->pool != by->pool || !has_key(wait, copy, key.len))
            continue;
        places--;
        stir(wait);
    }
    free(copy);
}

void limit_wait_drain(struct limiter *limiter)
{
    struct limit_wait *wait;

    TAILQ_FOREACH(wait, &limiter->waits, link)
    if (wait->state == WAIT_RESTING)
        stir(wait);
}

void limit_wait_count(const struct limiter *limiter)
{
    const struct limit_wait *wait;

    TAILQ_FOREACH(wait, &limiter->waits, link)
    wait->note.meter->waiters_now++;
}

void limit_wait_move(struct limiter *limiter)
{
    const struct worker *worker = limiter->worker;
    struct limit_wait *wait;

    TAILQ_FOREACH(wait, &limiter->waits, link)
    wait->note.meter = limit_book_keep(worker->settings->limit_book, wait->note.meter, worker->index);
}
