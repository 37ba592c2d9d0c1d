/*
 * Checks that wait for their act, for repair_watch.h. Which check an act came from is seldom certain: pools swap
 * connections, and some connections carry many clients. So it is the one with the lowest count that still counts, the
 * newest of those: whoever acts was told that there is room. One of the act's own connection goes first, unless
 * connections are known to be swapped. When it was asked is taken from the newest that it could be: checks that are
 * never acted on would else make the pauses as long as they are remembered.
 *
 * A ring: the oldest checks make room. Everything is found within a bounded number of steps. One thread; the owner
 * frees it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct repair_check {
    uint64_t key, owner; /* hashes */
    unsigned rule;
    int64_t told, at_us;
    int64_t hold_us; /* as long the check counts; longer it is only remembered */
    bool refused;    /* it was told so much that no act was to follow */
};

/* A check that was not refused, and yet no act followed. */
typedef void repair_unacted(void *arg, const struct repair_check *check);

struct repair_pairs;

struct repair_pairs *repair_pairs_new(size_t capacity, repair_unacted *unacted, void *arg); /* NULL without memory */
void repair_pairs_free(struct repair_pairs *pairs);                                         /* NULL is fine */

void repair_pairs_check(struct repair_pairs *pairs, const struct repair_check *check, int64_t now_us);

enum repair_match {
    REPAIR_UNASKED, /* nobody checked */
    REPAIR_OWN,     /* on the same connection */
    REPAIR_OTHERS,  /* on another one */
    REPAIR_LATE,    /* the check had ceased to count */
    REPAIR_REFUSED, /* the check was refused */
};

/* The check of an act, of which key, owner, rule and at_us are read. It waits no longer. */
enum repair_match repair_pairs_act(struct repair_pairs *pairs, const struct repair_check *act, bool swaps,
                                   struct repair_check *check);
/* The same for an act that is known to have had no reservation. */
enum repair_match repair_pairs_act_late(struct repair_pairs *pairs, const struct repair_check *act,
                                        struct repair_check *check);

/* Forgets what is so old that no act is expected. */
void repair_pairs_tick(struct repair_pairs *pairs, int64_t now_us);
