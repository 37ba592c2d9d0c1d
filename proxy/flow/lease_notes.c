#include "proxy/flow/lease_notes.h"

#include <stdio.h>
#include <stdlib.h>

#include "limiter/limit_reply.h"
#include "protocol/reply.h"
#include "proxy/flow/limit_book.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/worker.h"
#include "proxy/net/owner.h"

enum lease_step {
    LEASE_HELD,      /* granted, or renewed */
    LEASE_ENDED,     /* given back */
    LEASE_LOST,      /* found to have run out */
    LEASE_ALL_ENDED, /* those of the key */
};

enum { ORDER_EVENTS = 64, LIMIT_NAME_LEN = 40 };

struct lease_event {
    struct lease_id id;
    int64_t end_us;
    enum lease_step step;
    char limit[LIMIT_NAME_LEN]; /* workers may have different settings for a moment, so it goes by its name */
};

/* For one other worker. */
struct lease_order {
    struct errand errand;
    unsigned n;
    struct lease_event at[ORDER_EVENTS];
};

static int64_t now_us(const struct limiter *limiter)
{
    return (int64_t)loop_now_ms(&limiter->worker->loop) * 1000;
}

static void count_lease(_Atomic uint64_t *counter)
{
    counter_add(counter, 1);
}

/* --- into the book, or to who has it --- */

static void apply(struct limiter *limiter, const struct lease_event *event, struct limit_meter *meter)
{
    struct lease_book *book = limiter_leases(limiter);

    if (!book)
        return;
    switch (event->step) {
    case LEASE_HELD:
        lease_book_hold(book, event->id, meter, event->end_us);
        break;
    case LEASE_ENDED:
        lease_book_end(book, event->id);
        break;
    case LEASE_LOST:
        if (lease_book_end(book, event->id))
            count_lease(&meter->leases_expired);
        break;
    case LEASE_ALL_ENDED:
        lease_book_end_all(book, event->id.key);
        break;
    }
}

static void take_order(struct worker *worker, struct errand *errand)
{
    struct lease_order *order = OWNER_OF(errand, struct lease_order, errand);
    struct limit_book *limits = worker->settings->limit_book;

    for (unsigned i = 0; i < order->n; i++)
        apply(worker->limiter, &order->at[i], limit_book_named(limits, order->at[i].limit, worker->index));
    free(order);
}

/* Nobody is left to take it when all end. */
static void send_order(struct limiter *limiter, unsigned to)
{
    struct crew *crew = limiter->worker->crew;
    struct lease_order *order = limiter->orders[to];

    limiter->orders[to] = NULL;
    if (crew->ending)
        free(order);
    else
        worker_post(&crew->workers[to], &order->errand);
}

static void send_orders(struct deferred *work)
{
    struct limiter *limiter = OWNER_OF(work, struct limiter, send_leases);

    limiter->sends_leases = false;
    for (unsigned i = 0; i < limiter->worker->crew->count; i++)
        if (limiter->orders[i])
            send_order(limiter, i);
}

/* What is to be sent at the end of the turn. */
static struct lease_order *order_to(struct limiter *limiter, unsigned to)
{
    if (!limiter->orders)
        limiter->orders = calloc(limiter->worker->crew->count, sizeof(struct lease_order *));
    if (limiter->orders && !limiter->orders[to]) {
        limiter->orders[to] = calloc(1, sizeof(*limiter->orders[to]));
        if (limiter->orders[to])
            limiter->orders[to]->errand.run = take_order;
    }
    return limiter->orders ? limiter->orders[to] : NULL;
}

static void note_event(struct limiter *limiter, struct limit_meter *meter, struct lease_event event)
{
    struct worker *worker = limiter->worker;
    unsigned to = (unsigned)(event.id.key % worker->crew->count);
    struct lease_order *order = to == worker->index ? NULL : order_to(limiter, to);

    if (to == worker->index)
        apply(limiter, &event, meter);
    if (!order)
        return;
    snprintf(event.limit, sizeof(event.limit), "%s",
             limit_book_name_of(worker->settings->limit_book, meter, worker->index));
    order->at[order->n++] = event;
    if (order->n == ORDER_EVENTS)
        send_order(limiter, to);
    if (limiter->sends_leases)
        return;
    limiter->sends_leases = true;
    limiter->send_leases.run = send_orders;
    loop_defer(&limiter->worker->loop, &limiter->send_leases);
}

/* --- a call --- */

/* Which argument of the script is the token, or the first of them; -1: none. */
static int token_at(enum limit_script_id script)
{
    switch (script) {
    case SCRIPT_sem_acquire:
    case SCRIPT_sem_acquire_fifo:
        return 2;
    case SCRIPT_sem_renew:
    case SCRIPT_sem_release:
        return 0;
    default:
        return -1;
    }
}

static struct lease_id id_of(const struct limiter *limiter, int at)
{
    const struct limit_call *call = &limiter->call;
    const struct limit_argument none = {.bytes = NULL}, *token = at < 0 ? &none : &call->arguments[at];

    return lease_id(limiter->worker->crew->lease_seed, call->keys[0].bytes, call->keys[0].len, token->bytes,
                    token->len);
}

struct lease_id lease_note_call(struct limiter *limiter, struct limit_meter *meter)
{
    const struct limit_call *call = &limiter->call;
    int at = token_at(call->script);

    if (at < 0 && call->script != SCRIPT_sem_clear)
        return (struct lease_id){0};
    for (int i = 1; call->script == SCRIPT_sem_release && i < (int)call->argument_count; i++)
        note_event(limiter, meter, (struct lease_event){.id = id_of(limiter, i), .step = LEASE_ENDED});
    return id_of(limiter, at);
}

/* --- its reply --- */

static void note_acquired(struct limiter *limiter, struct limit_meter *meter, struct lease_id id, const uint8_t *reply,
                          size_t len)
{
    const uint8_t *at = reply, *reply_end = reply + len;
    int64_t left_ms, already;

    if (!reply_starts_with(reply, len, "*10\r\n:1\r\n") ||
        !limit_reply_next(&at, reply_end, 1 + SEM_LEASE_LEFT_MS, &left_ms) ||
        !limit_reply_next(&at, reply_end, SEM_ALREADY - SEM_LEASE_LEFT_MS - 1, &already))
        return;
    count_lease(already ? &meter->leases_resumed : &meter->leases_granted);
    note_event(limiter, meter, (struct lease_event){id, now_us(limiter) + left_ms * 1000, LEASE_HELD, ""});
}

void lease_note_reply(struct limiter *limiter, struct limit_meter *meter, struct lease_id id,
                      enum limit_script_id script, const uint8_t *reply, size_t len)
{
    struct lease_event event = {.id = id};
    int64_t n;

    if (script == SCRIPT_sem_acquire || script == SCRIPT_sem_acquire_fifo) {
        note_acquired(limiter, meter, id, reply, len);
        return;
    }
    if (len < 4 || reply[0] != ':' || !number_read(reply + 1, len - 3, &n) || n < 0)
        return;
    if (script == SCRIPT_sem_renew) {
        event.end_us = now_us(limiter) + n * 1000;
        event.step = n > 0 ? LEASE_HELD : LEASE_LOST;
    } else if (script == SCRIPT_sem_release || script == SCRIPT_sem_clear) {
        counter_add(&meter->leases_released, (uint64_t)n);
        event.step = script == SCRIPT_sem_clear ? LEASE_ALL_ENDED : LEASE_ENDED;
    } else {
        return;
    }
    note_event(limiter, meter, event);
}

/* --- once a second --- */

static void on_expired(void *arg, void *of)
{
    (void)arg;
    count_lease(&((struct limit_meter *)of)->leases_expired);
}

static void on_running(void *arg, void *of, int64_t end_us)
{
    struct limit_meter *meter = of;
    uint64_t end_ms = (uint64_t)(end_us / 1000);

    (void)arg;
    if (!meter->next_end_ms_now || end_ms < meter->next_end_ms_now)
        meter->next_end_ms_now = end_ms;
}

static void on_held(void *arg, void *of, uint32_t leases)
{
    struct limit_meter *meter = of;

    (void)arg;
    meter->leases_now += leases;
    meter->fullest_now = leases > meter->fullest_now ? leases : meter->fullest_now;
}

void lease_notes_second(struct limiter *limiter)
{
    static const struct lease_visitor visitor = {.expired = on_expired, .runs = on_running, .held = on_held};

    if (limiter->leases)
        lease_book_tick(limiter->leases, now_us(limiter), &visitor);
}

static void *keep(void *arg, void *of)
{
    const struct worker *worker = arg;

    return limit_book_keep(worker->settings->limit_book, of, worker->index);
}

void lease_notes_move(struct limiter *limiter)
{
    if (limiter->leases)
        lease_book_hand_over(limiter->leases, keep, limiter->worker);
}

void lease_notes_finish(struct limiter *limiter)
{
    for (unsigned i = 0; limiter->orders && i < limiter->worker->crew->count; i++)
        free(limiter->orders[i]);
    free(limiter->orders);
    lease_book_free(limiter->leases);
}
