#include "proxy/flow/limit_notes.h"

#include "limiter/limit_facts.h"
#include "limiter/limit_said.h"
#include "limiter/repair_watch.h"
#include "proxy/flow/client.h"
#include "proxy/flow/lease_notes.h"
#include "proxy/flow/limit.h"
#include "proxy/flow/limit_book.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/repair_book.h"

#define note(meter, name) counter_add(&(meter)->name, 1)

static uint64_t now_ms(const struct worker *worker)
{
    return loop_now_ms((struct loop *)&worker->loop);
}

/* --- when it is sent --- */

/* By its name or its script, else by the key: SEM.RELEASE and its kin name the key of a rule. LIM.MULTI is of several.
 */
static struct limit_meter *meter_of_call(const struct limiter *limiter)
{
    const struct worker *worker = limiter->worker;
    const struct limit_call *call = &limiter->call;
    const struct rule *rule = limiter->rule;

    if (limiter->adoption)
        return limit_book_script_meter(worker->settings->limit_book, limiter->adoption, worker->index);
    if (!rule && call->key_count && call->script != SCRIPT_lim_multi)
        rule = rule_of_key(worker->settings->rules, call->keys[0].bytes, call->keys[0].len);
    return limit_book_meter(worker->settings->limit_book, rule, worker->index);
}

struct limit_note limit_note_of_call(struct limiter *limiter)
{
    struct limit_meter *meter = meter_of_call(limiter);

    return (struct limit_note){
        .meter = meter,
        .lease = lease_note_call(limiter, meter),
        .asks = limit_facts_asks(&limiter->call),
    };
}

struct limit_note limit_note_of_repair(const struct worker *worker, const struct repair_rule *rule)
{
    return (struct limit_note){.meter = limit_book_repair_meter(worker->settings->limit_book, rule, worker->index)};
}

void limit_note_queued(const struct limiter *limiter)
{
    note(meter_of_call(limiter), queued);
}

/* --- what it came to --- */

static void note_denial(struct limit_meter *meter, enum limit_reason reason, uint64_t ms)
{
    _Atomic uint64_t *const counts[] = {
        [REASON_LIMITED] = &meter->denied_limited,   [REASON_CACHED] = &meter->denied_cached,
        [REASON_COST] = &meter->denied_cost,         [REASON_CLOSED] = &meter->denied_closed,
        [REASON_QUEUED] = &meter->denied_queued,     [REASON_LOCAL] = &meter->denied_local,
        [REASON_REPLAYED] = &meter->denied_replayed,
    };
    bool known = (unsigned)reason < sizeof(counts) / sizeof(counts[0]) && counts[reason];

    counter_add(known ? counts[reason] : &meter->denied_limited, 1);
    atomic_store_explicit(&meter->denied_ms, ms, memory_order_relaxed);
}

static void note_verdict(const struct limiter *limiter, struct limit_meter *meter, enum limit_said said, bool shadow,
                         enum limit_reason reason)
{
    if (said == LIMIT_SAID_NO && !shadow) {
        note_denial(meter, reason, now_ms(limiter->worker));
        count(limiter->worker, limits_denied);
        return;
    }
    note(meter, admitted);
    if (said == LIMIT_SAID_NO)
        note(meter, shadowed);
}

static bool is_shadowed(const struct limiter *limiter)
{
    return limiter->rule && limiter->rule->shadow;
}

void limit_note_cached(const struct limiter *limiter)
{
    note_verdict(limiter, meter_of_call(limiter), LIMIT_SAID_NO, is_shadowed(limiter), REASON_CACHED);
}

void limit_note_down(const struct limiter *limiter, const uint8_t *reply, size_t len)
{
    struct limit_meter *meter = meter_of_call(limiter);
    enum limit_reason reason;
    enum limit_said said = limit_said(limiter->call.script, reply, len, &reason);
    enum rule_on_down policy = limiter_on_down(limiter);
    enum limit_reason else_reason = REASON_CLOSED; /* where the reply tells none */

    if (policy == RULE_DOWN_ALLOW) {
        note(meter, down_open);
        else_reason = REASON_COST; /* all else is allowed */
    } else if (policy == RULE_DOWN_LOCAL && limit_facts_local(&limiter->call, &(struct local_call){0})) {
        note(meter, down_local);
        else_reason = REASON_LOCAL;
    } else {
        note(meter, down_closed);
    }
    note_verdict(limiter, meter, said, is_shadowed(limiter), reason == REASON_LIMITED ? else_reason : reason);
}

void limit_note_script_down(const struct limiter *limiter)
{
    struct limit_meter *meter = meter_of_call(limiter);
    bool allow = limiter->adoption->allow;

    counter_add(allow ? &meter->down_open : &meter->down_closed, 1);
    note_verdict(limiter, meter, allow ? LIMIT_SAID_YES : LIMIT_SAID_NO, false, REASON_CLOSED);
}

void limit_note_repair_down(const struct worker *worker, const struct repair_rule *rule)
{
    struct limit_meter *meter = limit_book_repair_meter(worker->settings->limit_book, rule, worker->index);

    counter_add(rule->allow ? &meter->down_open : &meter->down_closed, 1);
    if (!rule->allow)
        atomic_store_explicit(&meter->denied_ms, now_ms(worker), memory_order_relaxed);
}

/* --- when it has ended --- */

void limit_note_reply(struct limiter *limiter, const struct limit_note *note, enum limit_script_id script, bool shadow,
                      const uint8_t *reply, size_t len)
{
    enum limit_reason reason;
    enum limit_said said = limit_said(script, reply, len, &reason);

    if (said == LIMIT_SAID_ERROR)
        note(note->meter, failed);
    else if (!note->asks || said == LIMIT_SAID_NOTHING)
        note(note->meter, served);
    else
        note_verdict(limiter, note->meter, said, shadow, reason);
    if (script >= SCRIPT_sem_acquire)
        lease_note_reply(limiter, note->meter, note->lease, script, reply, len);
}

void limit_note_served(const struct limit_note *note)
{
    note(note->meter, served);
}

void limit_note_failed(const struct limit_note *note)
{
    note(note->meter, failed);
}

void limit_note_late(const struct limit_note *note)
{
    note(note->meter, late);
}

/* The lane has noted how long it took a moment ago, and its cell stands with the worker. */
void limit_note_duration(struct worker *worker, const struct limit_note *note, const struct request *request)
{
    histogram_add(&note->meter->duration, worker->noted_cell, loop_now_us(&worker->loop) - request->given_us);
}

/* --- once a second --- */

/* All workers see a rule's checks and acts in one book; one of them tells of it. */
static bool tells_of_repairs(const struct worker *worker)
{
    return worker->index == 0 && worker->settings->repair_book;
}

static void publish_repair(const struct worker *worker, struct limit_meter *meter, unsigned rule)
{
    struct repair_stats stats;
    struct repair_learn learn;

    repair_book_look(worker->settings->repair_book, rule, &stats, &learn);
    if (stats.refused > meter->refused_before)
        atomic_store_explicit(&meter->denied_ms, now_ms(worker), memory_order_relaxed);
#define X(name)                                                                                                        \
    counter_add(&meter->repair_##name, stats.name - meter->name##_before);                                             \
    meter->name##_before = stats.name;
    LIMIT_COUNTS_REPAIR(X)
#undef X
    atomic_store_explicit(&meter->stops_at, (uint64_t)learn.stops_at, memory_order_relaxed);
    atomic_store_explicit(&meter->hold_us, (uint64_t)repair_learn_hold_us(&learn), memory_order_relaxed);
}

static void publish(const struct worker *worker, const struct limit_entry *entry)
{
    struct limit_meter *meter = &entry->record->meters[worker->index];

#define X(name) atomic_store_explicit(&meter->name, meter->name##_now, memory_order_relaxed);
    LIMIT_GAUGES(X)
#undef X
    if (entry->repair && tells_of_repairs(worker))
        publish_repair(worker, meter, entry->repair->index);
}

void limit_notes_second(struct limiter *limiter)
{
    const struct worker *worker = limiter->worker;
    const struct limit_book *book = worker->settings->limit_book;

    for (size_t i = 0; i < book->n; i++) {
        struct limit_meter *meter = &book->at[i].record->meters[worker->index];
#define X(name) meter->name##_now = 0;
        LIMIT_GAUGES(X)
#undef X
    }
    lease_notes_second(limiter);
    limit_wait_count(limiter);
    for (size_t i = 0; i < book->n; i++)
        publish(worker, &book->at[i]);
}

/* --- another configuration --- */

/* What the new book has taken over of a rule's figures was told already. */
static void begin_repairs(const struct worker *worker)
{
    const struct limit_book *book = worker->settings->limit_book;

    if (!tells_of_repairs(worker))
        return;
    for (size_t i = 0; i < book->n; i++) {
        struct limit_meter *meter = &book->at[i].record->meters[worker->index];
        struct repair_stats stats;

        if (!book->at[i].repair)
            continue;
        repair_book_look(worker->settings->repair_book, book->at[i].repair->index, &stats, NULL);
#define X(name) meter->name##_before = stats.name;
        LIMIT_COUNTS_REPAIR(X)
#undef X
    }
}

void limit_notes_move(struct limiter *limiter)
{
    struct worker *worker = limiter->worker;
    struct client *client;
    struct limit_kept *kept;

    TAILQ_FOREACH(client, &worker->clients, link)
    STAILQ_FOREACH(kept, &client->limit_calls, link)
    kept->note.meter = limit_book_keep(worker->settings->limit_book, kept->note.meter, worker->index);
    limit_wait_move(limiter);
    lease_notes_move(limiter);
    begin_repairs(worker);
}
