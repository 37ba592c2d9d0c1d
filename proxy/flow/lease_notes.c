#include "proxy/flow/lease_notes.h"

#include <stdlib.h>
#include <string.h>

#include "limiter/limit_reply.h"
#include "protocol/reply.h"
#include "proxy/flow/limit_book.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/worker.h"
#include "proxy/net/owner.h"

static int64_t now_us(const struct limiter *limiter)
{
    return (int64_t)loop_now_ms(&limiter->worker->loop) * 1000;
}

static void count_lease(_Atomic uint64_t *counter)
{
    counter_add(counter, 1);
}

/* --- other workers' --- */

static bool is_alone(const struct limiter *limiter)
{
    return limiter->worker->crew->count == 1;
}

static void note_stray(struct limiter *limiter, struct lease_id id, int64_t end_us)
{
    if (!is_alone(limiter) && limiter->strays.n < LEASE_STRAYS_MAX)
        limiter->strays.at[limiter->strays.n++] = (struct lease_stray){id, end_us};
}

struct stray_order {
    struct errand errand;
    struct lease_strays strays;
};

static void take_stray(struct lease_book *book, const struct lease_stray *stray)
{
    if (!stray->end_us)
        lease_book_end(book, stray->id);
    else
        lease_book_extend(book, stray->id, stray->end_us);
}

static void take_strays(struct worker *worker, struct errand *errand)
{
    struct stray_order *order = OWNER_OF(errand, struct stray_order, errand);

    for (unsigned i = 0; worker->limiter->leases && i < order->strays.n; i++)
        take_stray(worker->limiter->leases, &order->strays.at[i]);
    free(order);
}

static void tell_others(struct limiter *limiter)
{
    struct crew *crew = limiter->worker->crew;

    for (unsigned i = 0; limiter->strays.n && i < crew->count; i++) {
        struct stray_order *order = i == limiter->worker->index ? NULL : malloc(sizeof(*order));

        if (!order)
            continue;
        order->errand.run = take_strays;
        order->strays = limiter->strays;
        worker_post(&crew->workers[i], &order->errand);
    }
    limiter->strays.n = 0;
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

static struct lease_id id_of(const struct lease_book *book, const struct limit_call *call, int at)
{
    const struct limit_argument none = {.bytes = NULL}, *token = at < 0 ? &none : &call->arguments[at];

    return lease_id(book, call->keys[0].bytes, call->keys[0].len, token->bytes, token->len);
}

static void end(struct limiter *limiter, struct lease_id id)
{
    if (!lease_book_end(limiter->leases, id))
        note_stray(limiter, id, 0);
}

struct lease_id lease_note_call(struct limiter *limiter)
{
    const struct limit_call *call = &limiter->call;
    int at = token_at(call->script);

    if ((at < 0 && call->script != SCRIPT_sem_clear) || !limiter_leases(limiter))
        return (struct lease_id){0};
    for (int i = 1; call->script == SCRIPT_sem_release && i < (int)call->argument_count; i++)
        end(limiter, id_of(limiter->leases, call, i));
    return id_of(limiter->leases, call, at);
}

/* --- its reply --- */

/* Where nobody else can have it in a book, it was granted before there was one. */
static void extend(struct limiter *limiter, struct limit_meter *meter, struct lease_id id, int64_t end_us)
{
    if (is_alone(limiter))
        lease_book_hold(limiter->leases, id, meter, end_us);
    else if (!lease_book_extend(limiter->leases, id, end_us))
        note_stray(limiter, id, end_us);
}

static void note_acquired(struct limiter *limiter, struct limit_meter *meter, struct lease_id id, const uint8_t *reply,
                          size_t len)
{
    const uint8_t *at = reply, *reply_end = reply + len;
    int64_t left_ms, already;

    if (!reply_starts_with(reply, len, "*10\r\n:1\r\n") ||
        !limit_reply_next(&at, reply_end, 1 + SEM_LEASE_LEFT_MS, &left_ms) ||
        !limit_reply_next(&at, reply_end, SEM_ALREADY - SEM_LEASE_LEFT_MS - 1, &already))
        return;
    int64_t end_us = now_us(limiter) + left_ms * 1000;

    count_lease(already ? &meter->leases_resumed : &meter->leases_granted);
    if (already)
        extend(limiter, meter, id, end_us);
    else
        lease_book_hold(limiter->leases, id, meter, end_us);
}

static void note_renewed(struct limiter *limiter, struct limit_meter *meter, struct lease_id id, int64_t left_ms)
{
    if (left_ms > 0)
        extend(limiter, meter, id, now_us(limiter) + left_ms * 1000);
    else if (lease_book_end(limiter->leases, id))
        count_lease(&meter->leases_expired);
}

void lease_note_reply(struct limiter *limiter, struct limit_meter *meter, struct lease_id id,
                      enum limit_script_id script, const uint8_t *reply, size_t len)
{
    int64_t n;

    if (!limiter->leases)
        return;
    if (script == SCRIPT_sem_acquire || script == SCRIPT_sem_acquire_fifo) {
        note_acquired(limiter, meter, id, reply, len);
        return;
    }
    if (len < 4 || reply[0] != ':' || !number_read(reply + 1, len - 3, &n) || n < 0)
        return;
    if (script == SCRIPT_sem_renew) {
        note_renewed(limiter, meter, id, n);
    } else if (script == SCRIPT_sem_release) {
        counter_add(&meter->leases_released, (uint64_t)n);
        end(limiter, id);
    } else if (script == SCRIPT_sem_clear) {
        counter_add(&meter->leases_released, (uint64_t)n);
        lease_book_end_all(limiter->leases, id.key);
    }
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
    tell_others(limiter);
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
