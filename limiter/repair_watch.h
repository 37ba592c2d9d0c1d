/*
 * Watches the checks, acts and counts of all rules of repair, as their replies pass: pairs each act with the check that
 * it came from, lets each rule learn (repair_learn.h), says what the next check is sent with, and counts what an
 * operator wants to know before the rule may change anything.
 *
 *   check told n ──> waits ──┬── an act of its key (repair_pairs.h) ──> n converts, and the pause is known
 *                            ├── its connection checks again when it has ended, or ten seconds ──> n does not convert
 *                            └── memory is needed ──> forgotten
 *
 * A connection that checks a key again and again and never acts, though there is room, may be a monitor. It is told
 * that there is room, and gets a place, once in a while; in between it is told that all are taken, which is right for a
 * client, too. Who shall see the true count is to be known for a monitor (repair_client).
 *
 * A bounded table, taken at the start; nothing is allocated afterwards. One thread at a time. No clock: now_us is
 * monotonic. Keys are known by their keyed hash only. The owner frees it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limiter/repair_call.h"
#include "limiter/repair_clocks.h"
#include "limiter/repair_learn.h"

struct repair_stats {
    uint64_t checks, refused, acts;
    uint64_t overlaps;                    /* acts that came though another had come since their check: the race */
    uint64_t unasked;                     /* acts that added, without a check */
    uint64_t late;                        /* acts that found no reservation, for whatever reason */
    uint64_t above;                       /* checks that were told more than the maximum */
    int64_t most;                         /* the largest count told by the backend */
    uint64_t born, endless;               /* counters that began; those without an end a second later */
    uint64_t unused;                      /* checks that were told of room, and no act followed */
    struct repair_clocks scores, cutoffs; /* of ZADD and ZREMRANGEBYSCORE */
};

/* A client's connection. */
struct repair_client {
    uint64_t owner;
    bool looks; /* neither reserves nor takes reservations: it WATCHes, or is known for a monitor, or never checks */
};

struct repair_watch;

/*
 * `capacity`: how many checks are remembered at one time, of 150 bytes each; ten seconds' checks are of use. NULL
 * without memory. The table must live as long.
 */
struct repair_watch *repair_watch_new(const struct repair_table *table, size_t capacity, uint64_t seed);
void repair_watch_free(struct repair_watch *watch); /* NULL is fine */

/* Takes over what `before` has learnt and counted of rules that are the same but for what becomes of late acts. */
void repair_watch_inherit(struct repair_watch *watch, const struct repair_watch *before);

/* What a command that is repaired is sent with; not for each try again of it. */
void repair_watch_terms(struct repair_watch *watch, const struct repair_command *command,
                        const struct repair_client *client, unsigned resp, int64_t now_us, struct repair_terms *terms);

/*
 * The reply to a check, act, count or expire, whether it was repaired or sent as it was (`terms` NULL). What it replied
 * within a transaction need not be told.
 */
void repair_watch_reply(struct repair_watch *watch, const struct repair_command *command,
                        const struct repair_client *client, const struct repair_terms *terms, const uint8_t *reply,
                        size_t len, int64_t sent_us, int64_t now_us);

/* Any command that a rule has to do with, when it is sent. `wall_us` is the time of day. */
void repair_watch_sent(struct repair_watch *watch, const struct repair_command *command, int64_t wall_us);

/*
 * For how long the places are kept of a client that closed its connection behind a check: it may be dead, or go on with
 * another connection. Where connections that never check act, it is the usual thing, and they are kept as any others.
 */
int64_t repair_watch_left_us(const struct repair_watch *watch, unsigned rule);

/* About once a second. */
void repair_watch_tick(struct repair_watch *watch, int64_t now_us);

const struct repair_stats *repair_watch_stats(const struct repair_watch *watch, unsigned rule);
const struct repair_learn *repair_watch_learn(const struct repair_watch *watch, unsigned rule);
