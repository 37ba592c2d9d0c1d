#include "proxy/flow/limit_book.h"

#include <stdlib.h>
#include <string.h>

#include "limiter/adopt.h"
#include "limiter/repair.h"
#include "limiter/rule.h"

static const char *const called[] = {"gcra", "window", "slide", "slide-log", "semaphore"};
static const char *const repaired[] = {"zset", "set", "list", "counter", "incr"};

enum { KIND_NONE = -1, KIND_REPAIR = 256, KIND_SCRIPT = 512 };

static int kind_of(const struct limit_entry *entry)
{
    if (entry->rule)
        return (int)entry->rule->kind;
    if (entry->adoption)
        return KIND_SCRIPT;
    return entry->repair ? KIND_REPAIR + (int)entry->repair->kind : KIND_NONE;
}

const char *limit_kind_name(const struct limit_entry *entry)
{
    if (entry->rule)
        return called[entry->rule->kind];
    if (entry->adoption)
        return "script";
    return entry->repair ? repaired[__builtin_ctz(entry->repair->kind)] : "none";
}

/* A name that no rule can have. */
static const char *name_of(const struct limit_entry *entry)
{
    if (entry->rule)
        return entry->rule->name;
    if (entry->adoption)
        return entry->adoption->name;
    return entry->repair ? entry->repair->name : "(none)";
}

static struct limit_record *find(const struct limit_book *book, const char *name, int kind)
{
    for (size_t i = 0; book && i < book->n; i++) {
        struct limit_record *record = book->at[i].record;
        if (record->kind == kind && !strcmp(record->name, name))
            return record;
    }
    return NULL;
}

static struct limit_record *record_new(const char *name, int kind, unsigned workers)
{
    struct limit_record *record = calloc(1, sizeof(*record) + workers * sizeof(record->meters[0]));

    if (!record)
        return NULL;
    atomic_init(&record->refs, 1);
    record->kind = kind;
    record->workers = workers;
    record->name = strdup(name);
    if (record->name)
        return record;
    free(record);
    return NULL;
}

static void record_unref(struct limit_record *record)
{
    if (atomic_fetch_sub(&record->refs, 1) > 1)
        return;
    free(record->name);
    free(record);
}

static bool add(struct limit_book *book, struct limit_entry entry, unsigned workers, const struct limit_book *before)
{
    entry.record = find(before, name_of(&entry), kind_of(&entry));
    if (entry.record)
        atomic_fetch_add(&entry.record->refs, 1);
    else
        entry.record = record_new(name_of(&entry), kind_of(&entry), workers);
    if (entry.record)
        book->at[book->n++] = entry;
    return entry.record;
}

struct limit_book *limit_book_new(const struct rule_table *rules, const struct repair_table *repairs,
                                  const struct adopt_table *adoptions, unsigned workers,
                                  const struct limit_book *before)
{
    size_t n_rules = rule_table_count(rules), n_repairs = repair_table_count(repairs);
    size_t n_adoptions = adopt_table_count(adoptions), n = 1 + n_rules + n_repairs + n_adoptions;
    struct limit_book *book = calloc(1, sizeof(*book) + n * sizeof(book->at[0]));
    bool good = book && add(book, (struct limit_entry){0}, workers, before);

    if (book) {
        book->first_repair = 1 + n_rules;
        book->first_adoption = book->first_repair + n_repairs;
    }
    for (size_t i = 0; good && i < n_rules; i++)
        good = add(book, (struct limit_entry){.rule = rule_at(rules, i)}, workers, before);
    for (size_t i = 0; good && i < n_repairs; i++)
        good = add(book, (struct limit_entry){.repair = repair_table_at(repairs, i)}, workers, before);
    for (size_t i = 0; good && i < n_adoptions; i++)
        good = add(book, (struct limit_entry){.adoption = adopt_table_at(adoptions, i)}, workers, before);
    if (good)
        return book;
    limit_book_free(book);
    return NULL;
}

void limit_book_free(struct limit_book *book)
{
    for (size_t i = 0; book && i < book->n; i++)
        record_unref(book->at[i].record);
    free(book);
}

struct limit_meter *limit_book_meter(struct limit_book *book, const struct rule *rule, unsigned worker)
{
    return &book->at[rule ? 1 + rule->index : 0].record->meters[worker];
}

struct limit_meter *limit_book_repair_meter(struct limit_book *book, const struct repair_rule *rule, unsigned worker)
{
    return &book->at[book->first_repair + rule->index].record->meters[worker];
}

struct limit_meter *limit_book_script_meter(struct limit_book *book, const struct adoption *rule, unsigned worker)
{
    size_t i = book->first_adoption;

    while (book->at[i].adoption != rule)
        i++;
    return &book->at[i].record->meters[worker];
}

struct limit_meter *limit_book_keep(struct limit_book *book, struct limit_meter *meter, unsigned worker)
{
    for (size_t i = 0; i < book->n; i++) {
        if (meter == &book->at[i].record->meters[worker])
            return meter;
    }
    return &book->at[0].record->meters[worker];
}

const char *limit_book_name_of(const struct limit_book *book, const struct limit_meter *meter, unsigned worker)
{
    for (size_t i = 0; i < book->n; i++) {
        if (meter == &book->at[i].record->meters[worker])
            return book->at[i].record->name;
    }
    return book->at[0].record->name;
}

struct limit_meter *limit_book_named(struct limit_book *book, const char *name, unsigned worker)
{
    for (size_t i = 0; i < book->n; i++) {
        if (!strcmp(book->at[i].record->name, name))
            return &book->at[i].record->meters[worker];
    }
    return &book->at[0].record->meters[worker];
}

/* --- reading --- */

static uint64_t load(const _Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void add_meter(struct limit_sum *sum, const struct limit_meter *meter)
{
    uint64_t denied_ms = load(&meter->denied_ms), end_ms = load(&meter->next_end_ms);

#define X(name) sum->name += load(&meter->name);
    LIMIT_COUNTS(X)
    X(leases)
    X(waiters)
#undef X
#define X(name) sum->repair_##name += load(&meter->repair_##name);
    LIMIT_COUNTS_REPAIR(X)
#undef X
    sum->fullest = load(&meter->fullest) > sum->fullest ? load(&meter->fullest) : sum->fullest;
    sum->denied_ms = denied_ms > sum->denied_ms ? denied_ms : sum->denied_ms;
    if (end_ms && (!sum->next_end_ms || end_ms < sum->next_end_ms))
        sum->next_end_ms = end_ms;
    sum->stops_at += load(&meter->stops_at);
    sum->hold_us += load(&meter->hold_us);
}

void limit_sum(const struct limit_record *record, struct limit_sum *sum)
{
    *sum = (struct limit_sum){0};
    for (unsigned i = 0; i < record->workers; i++)
        add_meter(sum, &record->meters[i]);
    sum->denied = sum->denied_limited + sum->denied_cached + sum->denied_cost + sum->denied_closed +
                  sum->denied_queued + sum->denied_local + sum->denied_replayed;
}

void limit_add_durations(struct distribution *sum, const struct limit_record *record)
{
    for (unsigned i = 0; i < record->workers; i++)
        distribution_add(sum, &record->meters[i].duration);
}

/* --- the last minute --- */

/* Of figures that are written one after the other while they are read. */
static uint64_t less(uint64_t from, uint64_t what)
{
    return from > what ? from - what : 0;
}

struct limit_pair limit_pair_of(const struct limit_entry *entry, const struct limit_sum *sum)
{
    if (!entry->repair)
        return (struct limit_pair){sum->admitted, sum->denied};
    return (struct limit_pair){less(sum->repair_checks, sum->repair_refused), sum->repair_refused};
}

void limit_book_note_second(struct limit_book *book)
{
    for (size_t i = 0; i < book->n; i++) {
        struct limit_recent *recent = &book->at[i].record->recent;
        struct limit_sum sum;

        limit_sum(book->at[i].record, &sum);
        recent->at[recent->next] = limit_pair_of(&book->at[i], &sum);
        recent->next = (recent->next + 1) % LIMIT_RECENT_S;
        recent->n += recent->n < LIMIT_RECENT_S;
    }
}

struct limit_pair limit_recent_of(const struct limit_entry *entry, const struct limit_sum *sum)
{
    const struct limit_recent *recent = &entry->record->recent;
    struct limit_pair now = limit_pair_of(entry, sum), then = {0};

    if (recent->n == LIMIT_RECENT_S)
        then = recent->at[recent->next];
    return (struct limit_pair){less(now.admitted, then.admitted), less(now.denied, then.denied)};
}
