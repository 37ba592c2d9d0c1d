/*
 * Runs a director against backends that exist as a function of time only, with checks that take their time, on a clock
 * that jumps from event to event. The same seed gives the same run. Used by the tests of director.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/health/director.h"
#include "route_case.h"

enum { SIM_SWITCHES_MAX = 4096, HOUR_MS = 3600000 };

struct simulation;

/* What a check that begins now comes to, and how long it takes. CAUSE_NONE: it passes. */
typedef enum health_cause sim_check(const struct simulation *sim, unsigned index, uint32_t *takes_ms);

/* One check is under way from `begun_ms` until `due_ms`, or due to begin then. */
struct sim_backend {
    uint64_t due_ms, begun_ms;
    enum health_cause outcome;
    bool checking;
};

struct simulation {
    struct director director;
    struct sim_backend backends[ROUTE_BACKENDS_MAX];
    sim_check *check;
    const void *arg; /* for `check` */
    uint64_t now_ms, seed;
    unsigned switches;
    uint64_t switched_ms[SIM_SWITCHES_MAX];
};

static inline struct director_rules sim_rules(enum failback failback)
{
    struct director_rules rules = {
        .hold = {.hold_ms = 10000, .hold_max_ms = 600000, .quiet_ms = HOUR_MS},
        .pinned = ROUTE_NONE,
        .failback = failback,
        .grace_ms = 5000,
    };

    for (unsigned i = 0; i < ROUTE_BACKENDS_MAX; i++)
        rules.health[i] = (struct health_rules){.fall = 3, .rise = 2, .interval_ms = 500, .fast_interval_ms = 100};
    return rules;
}

static inline void sim_init(struct simulation *sim, unsigned n, const struct director_rules *rules, sim_check *check,
                            const void *arg, uint64_t seed)
{
    *sim = (struct simulation){.check = check, .arg = arg, .seed = mix(seed), .now_ms = 1};
    director_init(&sim->director, n, rules, sim->now_ms);
    for (unsigned i = 0; i < n; i++)
        sim->backends[i].due_ms = sim->now_ms;
}

static inline void sim_note(struct simulation *sim, bool changed)
{
    if (changed && sim->switches < SIM_SWITCHES_MAX)
        sim->switched_ms[sim->switches++] = sim->now_ms;
}

/* Up to 10% later or sooner, as the monitor does it. */
static inline uint64_t sim_jitter(struct simulation *sim, uint64_t ms)
{
    sim->seed = mix(sim->seed);
    return ms + ms * (sim->seed % 201) / 1000 - ms / 10;
}

static inline void sim_end_check(struct simulation *sim, unsigned index)
{
    struct sim_backend *backend = &sim->backends[index];

    sim_note(sim, director_result(&sim->director, index, backend->outcome, sim->now_ms));
    backend->checking = false;
    backend->due_ms = backend->begun_ms + sim_jitter(sim, director_next_check_ms(&sim->director, index));
    if (backend->due_ms < sim->now_ms)
        backend->due_ms = sim->now_ms;
}

static inline void sim_step_backend(struct simulation *sim, unsigned index)
{
    struct sim_backend *backend = &sim->backends[index];
    uint32_t takes_ms = 0;

    if (backend->due_ms > sim->now_ms)
        return;
    if (backend->checking) {
        sim_end_check(sim, index);
        return;
    }
    backend->outcome = sim->check(sim, index, &takes_ms);
    backend->checking = true;
    backend->begun_ms = sim->now_ms;
    backend->due_ms = sim->now_ms + takes_ms;
}

static inline void sim_hint(struct simulation *sim, unsigned index, enum health_cause cause)
{
    struct sim_backend *backend = &sim->backends[index];

    sim_note(sim, director_hint(&sim->director, index, cause, sim->now_ms));
    if (!backend->checking && !director_next_check_ms(&sim->director, index))
        backend->due_ms = sim->now_ms;
}

static inline void sim_run_until(struct simulation *sim, uint64_t end_ms)
{
    unsigned n = sim->director.input.n;

    for (;;) {
        uint64_t next_ms = sim->director.next_timer_ms;
        for (unsigned i = 0; i < n; i++)
            if (sim->backends[i].due_ms < next_ms)
                next_ms = sim->backends[i].due_ms;
        if (next_ms > end_ms)
            break;
        sim->now_ms = next_ms;
        if (sim->director.next_timer_ms <= next_ms)
            sim_note(sim, director_tick(&sim->director, next_ms));
        for (unsigned i = 0; i < n; i++)
            sim_step_backend(sim, i);
    }
    sim->now_ms = end_ms;
}

/* The most switches within any hour that begins at `from_ms` or later. */
static inline unsigned sim_most_in_an_hour(const struct simulation *sim, uint64_t from_ms)
{
    unsigned most = 0;

    for (unsigned i = 0; i < sim->switches; i++) {
        unsigned end = i;
        while (end < sim->switches && sim->switched_ms[end] < sim->switched_ms[i] + HOUR_MS)
            end++;
        if (sim->switched_ms[i] >= from_ms && end - i > most)
            most = end - i;
    }
    return most;
}
