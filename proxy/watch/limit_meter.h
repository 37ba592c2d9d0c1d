/*
 * What is counted of one limit of the configuration, or of all calls that belong to none: by each worker, in a meter of
 * its own that it alone writes. The limit's record owns all of them (flow/limit_book.h); anybody may read.
 */
#pragma once

#include "proxy/watch/histogram.h"

/* Calls, when they end. Shadowed ones are admitted as well; those decided without a backend are admitted or denied. */
#define LIMIT_COUNTS_CALLS(X)                                                                                          \
    X(admitted)                                                                                                        \
    X(served) /* what admits and denies nobody: SEM.RELEASE, LIM.RESET */                                              \
    X(failed) /* an error, or no reply */                                                                              \
    X(queued) /* in a transaction or a tunnel, where nobody looks at its reply */                                      \
    X(denied_limited)                                                                                                  \
    X(denied_cached)                                                                                                   \
    X(denied_cost)                                                                                                     \
    X(denied_closed)                                                                                                   \
    X(denied_queued)                                                                                                   \
    X(denied_local)                                                                                                    \
    X(denied_replayed)                                                                                                 \
    X(shadowed)                                                                                                        \
    X(down_closed)                                                                                                     \
    X(down_open)                                                                                                       \
    X(down_local)                                                                                                      \
    X(late)

#define LIMIT_COUNTS_LEASES(X)                                                                                         \
    X(leases_granted)                                                                                                  \
    X(leases_resumed) /* asked for with the token that holds it */                                                     \
    X(leases_released)                                                                                                 \
    X(leases_expired)

/* Those of struct repair_stats, by its names. */
#define LIMIT_COUNTS_REPAIR(X)                                                                                         \
    X(checks)                                                                                                          \
    X(refused)                                                                                                         \
    X(acts)                                                                                                            \
    X(late)                                                                                                            \
    X(unasked)                                                                                                         \
    X(overlaps)                                                                                                        \
    X(above)                                                                                                           \
    X(unused)                                                                                                          \
    X(born)                                                                                                            \
    X(endless)

/* As the worker's clock of a second found it. */
#define LIMIT_GAUGES(X)                                                                                                \
    X(leases)  /* that run, as far as is known here */                                                                 \
    X(fullest) /* the most of one key */                                                                               \
    X(waiters)                                                                                                         \
    X(next_end_ms) /* when the first of the leases ends; 0: none runs */

#define LIMIT_COUNTS(X) LIMIT_COUNTS_CALLS(X) LIMIT_COUNTS_LEASES(X)

struct limit_meter {
    struct histogram duration; /* from a call given to a backend connection until its reply was whole */
#define X(name) _Atomic uint64_t name;
    LIMIT_COUNTS(X)
    LIMIT_GAUGES(X)
#undef X
#define X(name) _Atomic uint64_t repair_##name;
    LIMIT_COUNTS_REPAIR(X)
#undef X
    _Atomic uint64_t denied_ms;         /* when it denied last, on the loop's clock; 0: never */
    _Atomic uint64_t stops_at, hold_us; /* of repair: what was learnt; 0 but for the worker that tells of it */
#define X(name) uint64_t name##_now;
    LIMIT_GAUGES(X) /* the worker's own, while it counts */
#undef X
#define X(name) uint64_t name##_before;
    LIMIT_COUNTS_REPAIR(X) /* likewise: what the repair's figures were last time */
#undef X
};
