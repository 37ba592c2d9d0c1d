/*
 * What all workers together have seen of the checks and acts of clients that know nothing of limits
 * (limiter/repair_watch.h). One for all, behind a lock: a pool's connections lie on any workers, so a check and its act
 * often meet on different ones, and half of what happens teaches the wrong lesson. Only commands of keys that a rule
 * names come here, and each of those costs the backend a script.
 *
 * What was learnt of a rule is taken over by the next settings, where the rule is the same.
 *
 * Owner: the settings. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limiter/repair_watch.h"

struct repair_book;

/* `memory` in bytes bounds what is remembered. `before`: of the settings before these, or NULL. NULL without memory. */
struct repair_book *repair_book_new(const struct repair_table *table, size_t memory, struct repair_book *before);
void repair_book_free(struct repair_book *book); /* NULL is fine */

/* As in limiter/repair_watch.h; rules are those of the table. */
void repair_book_terms(struct repair_book *book, const struct repair_command *command,
                       const struct repair_client *client, unsigned resp, int64_t now_us, struct repair_terms *terms);
void repair_book_reply(struct repair_book *book, const struct repair_command *command,
                       const struct repair_client *client, const struct repair_terms *terms, const uint8_t *reply,
                       size_t len, int64_t sent_us, int64_t now_us);
void repair_book_sent(struct repair_book *book, const struct repair_command *command, int64_t wall_us);
int64_t repair_book_left_us(struct repair_book *book, unsigned rule);
void repair_book_tick(struct repair_book *book, int64_t now_us);

/* Copies of what is known of a rule; either may be NULL. */
void repair_book_look(struct repair_book *book, unsigned rule, struct repair_stats *stats, struct repair_learn *learn);
/* The count that a check is told which got no place. */
int64_t repair_book_refused(struct repair_book *book, unsigned rule);
