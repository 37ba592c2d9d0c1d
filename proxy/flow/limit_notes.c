#include "proxy/flow/limit_notes.h"

#include "limiter/limit_facts.h"
#include "limiter/limit_said.h"
#include "limiter/repair_watch.h"
#include "proxy/flow/client.h"
#include "proxy/flow/limit.h"
#include "proxy/flow/limit_book.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/repairer.h"

#define note(meter, name) counter_add(&(meter)->name, 1)

static uint64_t now_ms(const struct worker *worker)
{
    return loop_now_ms((struct loop *)&worker->loop);
}

/* --- when it is sent --- */

/* By its name, else by the key: SEM.RELEASE and its kin name the key of a rule. LIM.MULTI is of several. */
static struct limit_meter *meter_of_call(const struct limiter *limiter)
{
    const struct worker *worker = limiter->worker;
    const struct limit_call *call = &limiter->call;
    const struct rule *rule = limiter->rule;

    if (!rule && call->key_count && call->script != SCRIPT_lim_multi)
        rule = rule_of_key(worker->settings->rules, call->keys[0].bytes, call->keys[0].len);
    return limit_book_meter(worker->settings->limit_book, rule, worker->index);
}

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

static struct lease_id lease_of(const struct lease_book *book, const struct limit_call *call, unsigned at)
{
    const struct limit_argument *token = &call->arguments[at];

    return lease_id(book, call->keys[0].bytes, call->keys[0].len, token->bytes, token->len);
}

/* Who releases several holds none of them any more, whatever the reply is. */
static struct lease_id note_lease_of_call(const struct limiter *limiter)
{
    const struct limit_call *call = &limiter->call;
    int at = token_at(call->script);
    struct lease_book *book =
        at >= 0 || call->script == SCRIPT_sem_clear ? limiter_leases((struct limiter *)limiter) : NULL;

    if (!book)
        return (struct lease_id){0};
    for (unsigned i = 1; call->script == SCRIPT_sem_release && i < call->argument_count; i++)
        lease_book_end(book, lease_of(book, call, i));
    if (at < 0)
        return lease_id(book, call->keys[0].bytes, call->keys[0].len, NULL, 0);
    return lease_of(book, call, (unsigned)at);
}

struct limit_note limit_note_of_call(const struct limiter *limiter)
{
    return (struct limit_note){
        .meter = meter_of_call(limiter),
        .lease = note_lease_of_call(limiter),
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

void limit_note_repair_down(const struct worker *worker, const struct repair_rule *rule)
{
    struct limit_meter *meter = limit_book_repair_meter(worker->settings->limit_book, rule, worker->index);

    counter_add(rule->allow ? &meter->down_open : &meter->down_closed, 1);
    if (!rule->allow)
        atomic_store_explicit(&meter->denied_ms, now_ms(worker), memory_order_relaxed);
}

/* --- leases --- */

static void hold(struct limiter *limiter, const struct limit_note *note, int64_t left_ms)
{
    if (limiter->leases)
        lease_book_hold(limiter->leases, note->lease, note->meter, ((int64_t)now_ms(limiter->worker) + left_ms) * 1000);
}

static void note_acquired(struct limiter *limiter, const struct limit_note *note, const uint8_t *reply, size_t len)
{
    int64_t fields[SEM_FIELDS];

    if (!limit_reply_read(reply, len, fields, SEM_FIELDS) || !fields[SEM_GRANTED])
        return;
    counter_add(fields[SEM_ALREADY] ? &note->meter->leases_resumed : &note->meter->leases_granted, 1);
    hold(limiter, note, fields[SEM_LEASE_LEFT_MS]);
}

static void note_renewed(struct limiter *limiter, const struct limit_note *note, int64_t left_ms)
{
    if (left_ms > 0)
        hold(limiter, note, left_ms);
    else if (limiter->leases && lease_book_end(limiter->leases, note->lease))
        note(note->meter, leases_expired);
}

static void note_released(struct limiter *limiter, const struct limit_note *note, int64_t n, bool all)
{
    counter_add(&note->meter->leases_released, (uint64_t)n);
    if (limiter->leases && all)
        lease_book_end_all(limiter->leases, note->lease.key);
    else if (limiter->leases)
        lease_book_end(limiter->leases, note->lease);
}

static void note_lease(struct limiter *limiter, const struct limit_note *note, enum limit_script_id script,
                       const uint8_t *reply, size_t len)
{
    int64_t n;

    if (script == SCRIPT_sem_acquire || script == SCRIPT_sem_acquire_fifo)
        note_acquired(limiter, note, reply, len);
    else if (len < 4 || reply[0] != ':' || !number_read(reply + 1, len - 3, &n) || n < 0)
        return;
    else if (script == SCRIPT_sem_renew)
        note_renewed(limiter, note, n);
    else if (script == SCRIPT_sem_release || script == SCRIPT_sem_clear)
        note_released(limiter, note, n, script == SCRIPT_sem_clear);
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
        note_lease(limiter, note, script, reply, len);
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

static void on_expired(void *arg, void *of)
{
    (void)arg;
    note((struct limit_meter *)of, leases_expired);
}

static void on_running(void *arg, void *of, int64_t end_us)
{
    struct limit_meter *meter = of;
    uint64_t end_ms = (uint64_t)(end_us / 1000), first_ms = atomic_load(&meter->next_end_ms);

    (void)arg;
    if (!first_ms || end_ms < first_ms)
        atomic_store_explicit(&meter->next_end_ms, end_ms, memory_order_relaxed);
}

static void on_held(void *arg, void *of, uint32_t leases)
{
    struct limit_meter *meter = of;

    (void)arg;
    meter->leases_now += leases;
    meter->fullest_now = leases > meter->fullest_now ? leases : meter->fullest_now;
}

static void publish_repair(const struct worker *worker, struct limit_meter *meter, unsigned rule)
{
    const struct repair_stats *stats = repair_watch_stats(worker->repairer->watch, rule);
    const struct repair_learn *learn = repair_watch_learn(worker->repairer->watch, rule);

    if (stats->refused > meter->refused_before)
        atomic_store_explicit(&meter->denied_ms, now_ms(worker), memory_order_relaxed);
#define X(name)                                                                                                        \
    counter_add(&meter->repair_##name, stats->name - meter->name##_before);                                            \
    meter->name##_before = stats->name;
    LIMIT_COUNTS_REPAIR(X)
#undef X
    atomic_store_explicit(&meter->learnt, learn->gaps, memory_order_relaxed);
    atomic_store_explicit(&meter->stops_at, (uint64_t)learn->stops_at, memory_order_relaxed);
    atomic_store_explicit(&meter->hold_us, (uint64_t)repair_learn_hold_us(learn), memory_order_relaxed);
}

static void publish(const struct worker *worker, const struct limit_entry *entry)
{
    struct limit_meter *meter = &entry->record->meters[worker->index];

#define X(name) atomic_store_explicit(&meter->name, meter->name##_now, memory_order_relaxed);
    LIMIT_GAUGES(X)
#undef X
    if (entry->repair && worker->repairer->watch)
        publish_repair(worker, meter, entry->repair->index);
}

void limit_notes_second(struct limiter *limiter)
{
    const struct worker *worker = limiter->worker;
    const struct limit_book *book = worker->settings->limit_book;
    const struct lease_visitor visitor = {.expired = on_expired, .runs = on_running, .held = on_held};

    for (size_t i = 0; i < book->n; i++) {
        struct limit_meter *meter = &book->at[i].record->meters[worker->index];
#define X(name) meter->name##_now = 0;
        LIMIT_GAUGES(X)
#undef X
        atomic_store_explicit(&meter->next_end_ms, 0, memory_order_relaxed);
    }
    if (limiter->leases)
        lease_book_tick(limiter->leases, (int64_t)now_ms(worker) * 1000, &visitor);
    limit_wait_count(limiter);
    for (size_t i = 0; i < book->n; i++)
        publish(worker, &book->at[i]);
}

/* --- another configuration --- */

static void *keep(void *arg, void *of)
{
    const struct worker *worker = arg;

    return limit_book_keep(worker->settings->limit_book, of, worker->index);
}

/* The repair's figures begin anew with each configuration; what was counted stays. */
static void begin_repairs(const struct worker *worker)
{
    const struct limit_book *book = worker->settings->limit_book;

    for (size_t i = 0; i < book->n; i++) {
#define X(name) book->at[i].record->meters[worker->index].name##_before = 0;
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
    kept->note.meter = keep(worker, kept->note.meter);
    limit_wait_move(limiter);
    if (limiter->leases)
        lease_book_hand_over(limiter->leases, keep, worker);
    begin_repairs(worker);
}
