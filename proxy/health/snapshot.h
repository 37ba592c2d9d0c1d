/*
 * What everybody else knows of the backends: the choice and the states at one moment. Immutable once published, counted
 * (monitor publishes, workers keep the latest each); the last one to let go frees it.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/health/backend.h"
#include "proxy/health/route.h"

struct backend_view {
    struct backend *backend;
    enum health_state state;
    enum health_cause cause; /* of the last failed check; CAUSE_NONE while it is up */
    bool held;
    uint64_t since_ms; /* of the state, on the monotonic clock */
    char reason[256];  /* the exact text of the last failed check; "" while it is up */
};

struct snapshot {
    atomic_uint refs;
    uint64_t epoch;         /* counts the choices; 0: nothing was decided yet */
    struct backend *chosen; /* NULL: none */
    enum route_why why;
    bool undecided;    /* none is chosen, and a check that could change that has no result yet */
    uint64_t since_ms; /* of the choice */
    bool ready;
    char unready[200]; /* why not; "" when ready */
    unsigned n;
    struct backend_view at[]; /* in the order of the configuration */
};

/* Zeroed, with one reference; the views hold references to their backends once they are set. NULL: no memory. */
struct snapshot *snapshot_new(unsigned n);
struct snapshot *snapshot_ref(struct snapshot *snapshot);
void snapshot_unref(struct snapshot *snapshot); /* NULL is fine; any thread */

/* NULL when it does not know the backend (a reload took it out). */
const struct backend_view *snapshot_find(const struct snapshot *snapshot, const struct backend *backend);

/* Whether connections to it may still bring the replies they owe: it is up, or alive and not usable. */
bool backend_view_is_alive(const struct backend_view *view);
