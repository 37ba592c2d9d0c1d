/*
 * What happened last: changes of states and of the choice, reloads, drains; each one line of JSON, numbered from 1. The
 * same as the log says, for those who come later: /events, /stats.json, RESPGATE EVENTS.
 *
 * Owner: main, the only one who writes, so that whoever listens is called on its thread. Any thread may read: a lock
 * guards the ring for that moment.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "proxy/net/log.h"

enum { JOURNAL_KEPT = 256 };

struct journal;

typedef void journal_on_entry(void *arg);

struct journal *journal_new(void); /* NULL: no memory */
void journal_free(struct journal *journal);

/* Logs the event, and keeps it unless `journal` is NULL. */
void journal_fields(struct journal *journal, enum log_level level, const char *event, const struct log_field *fields);
#define journal_write(journal, level, event, ...)                                                                      \
    journal_fields((journal), (level), (event), (const struct log_field[]){__VA_ARGS__, LOG_END})

/* One listener is called after each entry; NULL: nobody any more. */
void journal_listen(struct journal *journal, journal_on_entry *on_entry, void *arg);

/* The number of the last entry; 0: there is none. */
uint64_t journal_last(struct journal *journal);
/* Writes the entries behind number `after` that are kept, `between` them `separator`. Returns the last one's number. */
uint64_t journal_print(struct journal *journal, FILE *out, uint64_t after, const char *separator);
/* The last `n` for people: "13:10:32 selected backend=a why=first", without what only machines want. */
void journal_print_text(struct journal *journal, FILE *out, uint64_t n);
