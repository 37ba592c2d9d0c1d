/*
 * The inside of the monitor, shared by monitor.c (what happens) and announce.c (what is told of it). Main's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/health/director.h"
#include "proxy/health/monitor.h"

struct event;
struct journal;
struct probe;
struct resolver;

enum { NAME_ROOM = 64, DECISION_ROOM = ROUTE_TEXT_LEN };

/* One backend under watch. */
struct probe_result;

struct watched {
    struct monitor *monitor;
    struct backend *backend;
    struct probe *probe;
    unsigned index;      /* in the order of the configuration */
    struct event *due;   /* the next check */
    uint64_t due_ms;     /* its time */
    uint64_t checked_ms; /* when the last one began */
    uint64_t hinted_ms;  /* when a hint last brought a check */
    bool again;          /* trouble was met while a check was under way: another one follows at once */
    char reason[256];    /* of the last failed check */
};

struct monitor {
    struct loop *loop;
    monitor_on_route *on_route;
    void *arg;
    struct journal *journal; /* NULL: nobody keeps one */
    struct monitor_rules rules;
    char expected[NAME_ROOM];
    char pinned[NAME_ROOM]; /* an operator's word; "": none */
    struct resolver *resolver;
    struct watched *watched[ROUTE_BACKENDS_MAX];
    unsigned n;
    struct director director;
    struct event *hints, *timer, *beat;
    int hint_fd;
    uint64_t beat_ms;
    uint64_t random;
    uint64_t stalls;
    char decided[DECISION_ROOM]; /* the decision that was logged last */
    struct snapshot *snapshot;
    struct backend *last_used; /* NULL: none yet */
};

static inline struct health *watched_health(const struct watched *watched)
{
    return &watched->monitor->director.health[watched->index];
}

/* --- announce.c --- */

/* One line for a backend's new state. */
void announce_state(const struct watched *watched);
/* Logs the decision when it is another one, and publishes a snapshot of all there is to know now. */
void announce_route(struct monitor *monitor);

/* --- tally.c --- */

/* Counts a check and how long it took. Main's thread. */
void tally_check(struct backend *backend, const struct probe_result *result);
