/*
 * The limits of a configuration and what is counted of each: the rules that are called by name, those that repair,
 * those that take scripts for limits, and before them all one entry for calls that belong to no rule.
 *
 * A book belongs to its settings and lives as long. The records, which hold the figures, are counted references: a
 * reload goes on counting in the records of limits that keep name and kind. Meters are written by their workers, the
 * recent past by main's thread; any thread that has the settings may read.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/watch/limit_meter.h"

struct adopt_table;
struct adoption;
struct repair_rule;
struct repair_table;
struct rule;
struct rule_table;

enum { LIMIT_RECENT_S = 60 };

/* What a limit had counted at the end of each of the last seconds. Main's thread only. */
struct limit_recent {
    struct limit_pair {
        uint64_t admitted, denied;
    } at[LIMIT_RECENT_S];
    unsigned n, next;
};

struct limit_record {
    char *name;
    int kind; /* of what a limit must keep of it to be the same */
    unsigned workers;
    atomic_uint refs;
    struct limit_recent recent;
    struct limit_meter meters[]; /* by worker */
};

struct limit_entry {
    struct limit_record *record;
    const struct rule *rule;          /* NULL: it is another kind */
    const struct repair_rule *repair; /* likewise */
    const struct adoption *adoption;  /* likewise; without all three it stands for calls of no rule */
};

struct limit_book {
    size_t n, first_repair, first_adoption;
    struct limit_entry at[];
};

/* Records of `before` (may be NULL) that are the same go on. NULL without memory. */
struct limit_book *limit_book_new(const struct rule_table *rules, const struct repair_table *repairs,
                                  const struct adopt_table *adoptions, unsigned workers,
                                  const struct limit_book *before);
void limit_book_free(struct limit_book *book); /* NULL is fine */

struct limit_meter *limit_book_meter(struct limit_book *book, const struct rule *rule, unsigned worker);
struct limit_meter *limit_book_repair_meter(struct limit_book *book, const struct repair_rule *rule, unsigned worker);
struct limit_meter *limit_book_script_meter(struct limit_book *book, const struct adoption *rule, unsigned worker);
/* The same meter, if it is still in the book; else that of calls of no rule. */
struct limit_meter *limit_book_keep(struct limit_book *book, struct limit_meter *meter, unsigned worker);

/* Whose meter it is, and the meter of a name; that of calls of no rule where the book has it not. */
const char *limit_book_name_of(const struct limit_book *book, const struct limit_meter *meter, unsigned worker);
struct limit_meter *limit_book_named(struct limit_book *book, const char *name, unsigned worker);

/* "semaphore", "zset", "none". */
const char *limit_kind_name(const struct limit_entry *entry);

/* What all workers have counted, a moment old. */
struct limit_sum {
#define X(name) uint64_t name;
    LIMIT_COUNTS(X)
    LIMIT_GAUGES(X)
#undef X
#define X(name) uint64_t repair_##name;
    LIMIT_COUNTS_REPAIR(X)
#undef X
    uint64_t denied;            /* for all reasons */
    uint64_t denied_ms;         /* when it denied last, on the loops' clock; 0: never */
    uint64_t stops_at, hold_us; /* of repair: what was learnt */
};

void limit_sum(const struct limit_record *record, struct limit_sum *sum);
/* Adds how long its calls took. */
void limit_add_durations(struct distribution *sum, const struct limit_record *record);

/* What was let in, and what was not: calls, or the checks of a limit that repairs. */
struct limit_pair limit_pair_of(const struct limit_entry *entry, const struct limit_sum *sum);
/* Main's thread, once a second. */
void limit_book_note_second(struct limit_book *book);
/* What came since the oldest second that is known, LIMIT_RECENT_S at most. Main's thread. */
struct limit_pair limit_recent_of(const struct limit_entry *entry, const struct limit_sum *sum);
