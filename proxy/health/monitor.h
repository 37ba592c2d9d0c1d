/*
 * Health's one thread: it checks every backend, keeps the states, chooses, and tells.
 *
 *   timers, hints of the data path ──> probe ──> director (states, hold-downs, choice) ──> snapshot ──> on_route
 *
 * Its own lateness is never a backend's fault: when the loop stood still for more than two check timeouts, the checks
 * under way are dropped and made anew.
 *
 * Thread and owner: main. `on_route` is called on main's loop with every change of the choice or of a state; the
 * snapshot stays the monitor's (take a reference).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/health/route.h"

struct backend;
struct conf;
struct journal;
struct loop;
struct monitor;
struct snapshot;

struct monitor_rules {
    struct health_rules health;
    struct hold_rules hold;
    uint32_t timeout_ms, metered_interval_ms, start_grace_ms, cert_interval_ms;
    uint64_t seed; /* of the jitter; 0: drawn */
    enum failback failback;
    bool require_first;   /* ready only on the first backend */
    const char *expected; /* never any other than the backend of this name; "" for all */
};

typedef void monitor_on_route(void *arg, struct snapshot *snapshot);

/* NULL: no memory or no descriptor. */
struct monitor *monitor_new(struct loop *loop, monitor_on_route *on_route, void *arg);
void monitor_free(struct monitor *monitor); /* NULL is fine */
/* From now on what is logged of states and choices is kept there too. It stays the caller's. */
void monitor_keep_journal(struct monitor *monitor, struct journal *journal);
/* An operator's word: this backend and no other, until it is taken back (NULL). False: there is none of that name, or
 * the expected backend is the only one anyway. on_route follows within the call when that changes anything. */
bool monitor_pin(struct monitor *monitor, const char *name);
/* "" when nobody is pinned. */
const char *monitor_pinned(const struct monitor *monitor);
/* How often main's thread stood still for so long that checks had to be made anew. */
uint64_t monitor_stalls(const struct monitor *monitor);

/*
 * Begins, or goes on with other rules and backends (in their order): those it has already keep their state and their
 * probe. on_route follows within the call. Strings of the rules are copied.
 */
void monitor_configure(struct monitor *monitor, const struct monitor_rules *rules, struct backend **backends,
                       unsigned n);

void monitor_rules_read(struct monitor_rules *rules, const struct conf *conf);
