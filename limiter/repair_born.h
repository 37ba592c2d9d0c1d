/*
 * Counters that began a moment ago and have not got an end yet: a client that dies between INCR and EXPIRE leaves one
 * that never ends. Of all keys that fall into one place only the last is known, so fewer may be told than there are.
 * Plain data, embedded by its owner; one thread; no clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { REPAIR_BORN_PLACES = 1024 };

struct repair_born {
    struct repair_born_key {
        uint64_t key; /* hash */
        int64_t at_us;
        unsigned rule;
        bool used;
    } keys[REPAIR_BORN_PLACES];
};

void repair_born_began(struct repair_born *born, uint64_t key, unsigned rule, int64_t now_us);
void repair_born_ends(struct repair_born *born, uint64_t key);

/* Calls `endless` once for each that has no end a second after it began. */
void repair_born_tick(struct repair_born *born, int64_t now_us, void (*endless)(void *arg, unsigned rule), void *arg);
