/*
 * Who gets the requests, over time: the health and the hold-down of each backend, the current choice, the operator's
 * pin, and the epoch that counts the changes of choice. Every call below chooses again and says whether the choice is
 * another one now; `input` and `choice` then are what it was made of, for the log.
 *
 * Pure like its parts: the monitor on main's thread runs it by the clock, a simulator by a clock of its own. It has no
 * memory beneath it; whoever declares one owns it. `now_ms` never goes back.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/health/route.h"
#include "proxy/health/state.h"

#define DIRECTOR_NEVER UINT64_MAX

struct director_rules {
    struct health_rules health[ROUTE_BACKENDS_MAX];
    struct hold_rules hold;
    enum failback failback;
    int pinned;        /* ROUTE_NONE: nobody */
    uint64_t grace_ms; /* from director_init() or director_configure() on */
};

/* To be read by anybody on the thread, written by the functions below only. */
struct director {
    struct director_rules rules;
    struct health health[ROUTE_BACKENDS_MAX];
    struct hold hold[ROUTE_BACKENDS_MAX];
    uint64_t grace_end_ms;
    uint64_t epoch;             /* how often the choice became another one; 0: nothing was chosen yet */
    uint64_t next_timer_ms;     /* when director_tick() is due; DIRECTOR_NEVER */
    struct route_input input;   /* of the last decision: input.current is what was chosen before it */
    struct route_choice choice; /* its result, which is in effect */
};

/* `rules` is copied, for the first `n` backends. */
void director_init(struct director *director, unsigned n, const struct director_rules *rules, uint64_t now_ms);

/*
 * Other rules and backends, without forgetting: `origins[i]` says where backend i stood before, ROUTE_NONE that it is
 * new. When the chosen one is not among them any more, nothing is chosen for the moment.
 */
bool director_configure(struct director *director, unsigned n, const struct director_rules *rules, const int *origins,
                        uint64_t now_ms);

/* A check of a backend came to its end; CAUSE_NONE: it passed. */
bool director_result(struct director *director, unsigned index, enum health_cause cause, uint64_t now_ms);
/* The data path met trouble with a backend: a check may be due at once (director_next_check_ms). */
bool director_hint(struct director *director, unsigned index, enum health_cause cause, uint64_t now_ms);
/* An operator's word; ROUTE_NONE takes it back. */
bool director_pin(struct director *director, int index, uint64_t now_ms);
/* A timer, of next_timer_ms. Coming early or late does no harm. */
bool director_tick(struct director *director, uint64_t now_ms);
/*
 * The process itself stood still for `gap_ms` until now: what nobody watched does not count towards grace and
 * hold-downs. The caller drops the results of checks that were under way, and calls this before anything else.
 */
bool director_stalled(struct director *director, uint64_t gap_ms, uint64_t now_ms);

/* See health_next_check_ms(). */
uint32_t director_next_check_ms(const struct director *director, unsigned index);
