/*
 * How often the requests went from one backend to another, by both names and why, and how long it took from the first
 * sign of trouble with the one in use until another one was in use. `none` stands for no backend.
 *
 * Counts are kept by name, so that they survive a reload, also for backends it took out; `failovers_n` of what never
 * happened is 0.
 *
 * Thread and owner: main.
 */
#pragma once

#include <stdint.h>

#include "proxy/health/route.h"

struct failovers;
struct histogram;
struct snapshot;

struct failovers *failovers_new(void);            /* NULL: no memory */
void failovers_free(struct failovers *failovers); /* NULL is fine */

/* What health says now, and what it said before (NULL: nothing). */
void failovers_note(struct failovers *failovers, const struct snapshot *before, const struct snapshot *now,
                    uint64_t now_ms);

/* A name of NULL: none. */
uint64_t failovers_n(const struct failovers *failovers, const char *from, const char *to, enum route_why why);
const struct histogram *failovers_durations(const struct failovers *failovers);
