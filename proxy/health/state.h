/*
 * What is known of one backend, moved only by what checks and the data path report. Pure: no clock, no I/O; `now_ms` is
 * a parameter, so a simulator runs this very code.
 *
 *                        success                     failure
 *   UNKNOWN ───────────────────────────────> UP ────────────────> SUSPECT
 *      │  failure                            ^ ^  <── success ──     │ `fall` failures in a row, or a definite one
 *      v                  `rise` successes   │ │                     v
 *   DOWN, WRONG  ────────────────────────────┘ └─────────────────  DOWN, WRONG
 *
 *   SUSPECT   it was up; checks come fast until it is clear
 *   DOWN      not reachable, or alive and not usable (loading, replica, quota, capacity)
 *   WRONG     it answers, but it is not the backend that was meant (login, data set, cluster, protocol)
 *
 * Alive is not usable: only UP, and SUSPECT for the backend in use, may get requests. See route.h for hold-downs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum health_state { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_SUSPECT, HEALTH_DOWN, HEALTH_WRONG };

/* Why, in one word; the exact text goes along with it. */
enum health_cause {
    CAUSE_NONE,
    CAUSE_DNS,      /* the name has no address */
    CAUSE_REFUSED,  /* ECONNREFUSED: certain at the second in a row */
    CAUSE_CONNECT,  /* any other failure to connect */
    CAUSE_TIMEOUT,  /* a step took longer than its limit */
    CAUSE_LOST,     /* the connection ended within the check */
    CAUSE_TLS,      /* handshake or verification (not out of time, not lost): WRONG */
    CAUSE_AUTH,     /* NOAUTH, WRONGPASS, NOPERM on our own credentials: WRONG */
    CAUSE_PROTOCOL, /* a reply that is none, or the nonce came back changed: WRONG */
    CAUSE_LOADING,  /* LOADING, MASTERDOWN: certain, DOWN */
    CAUSE_ROLE,     /* it is a replica, READONLY: certain, DOWN */
    CAUSE_DATASET,  /* another data set than configured or seen before: WRONG */
    CAUSE_CLUSTER,  /* MOVED, ASK, CLUSTERDOWN: WRONG */
    CAUSE_CAPACITY, /* max clients: DOWN */
    CAUSE_QUOTA,    /* the provider's limit: DOWN, checked rarely */
    CAUSE_BUSY,     /* a script runs: counts as a failed check, never certain */
    CAUSE_SLOW,     /* requests of the data path got no reply for hang_threshold: a hint, never a failure by itself */
    CAUSE_COUNT
};

const char *health_state_name(enum health_state state); /* "up" */
const char *health_cause_name(enum health_cause cause); /* "refused" */

struct health_rules {
    unsigned fall, rise;
    uint32_t interval_ms, fast_interval_ms;
};

struct health {
    enum health_state state;
    enum health_cause cause; /* of the last failure while not UP */
    unsigned fails, passes;  /* in a row */
    uint64_t since_ms;       /* of the state */
};

void health_init(struct health *health, uint64_t now_ms);
/* True when the state changed. A failure has a cause, and it is not CAUSE_SLOW. */
bool health_passed(struct health *health, const struct health_rules *rules, uint64_t now_ms);
bool health_failed(struct health *health, const struct health_rules *rules, enum health_cause cause, uint64_t now_ms);
/*
 * The data path met trouble: UP becomes SUSPECT, so that a check is due at once; elsewhere it says nothing new. It is
 * no failure itself, but a refused connection it met counts as the first of two. True when the state changed.
 */
bool health_hint(struct health *health, enum health_cause cause, uint64_t now_ms);

/*
 * How long after the beginning of one check the next is due, before jitter. `urgent`: nothing is usable, so a backend
 * that is down is looked at in the fast interval too. A login that failed waits 5 s, a used up quota 60 s.
 */
uint32_t health_next_check_ms(const struct health *health, const struct health_rules *rules, bool urgent);
