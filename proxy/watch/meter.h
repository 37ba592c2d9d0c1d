/*
 * What is counted of one backend: by each worker (a meter of its own, which it makes when it first has to do with the
 * backend and alone writes), and by main's thread, which checks and chooses. Both live as long as the backend, which
 * frees them.
 */
#pragma once

#include "proxy/watch/histogram.h"

/* clang-format off */
#define CONNECT_STEPS(X) X(dns) X(tcp) X(tls) X(auth) X(hello) X(id) X(select) X(ping)

/* What a new connection is at; from `auth` on in the order of enum login_step. */
enum connect_step {
#define X(name) CONNECT_##name,
    CONNECT_STEPS(X)
#undef X
    CONNECT_STEPS_N
};
/* clang-format on */

struct handshake_meter {
    _Atomic uint64_t done, failed;
    _Atomic uint64_t resumed; /* of those done: without a certificate being shown again */
};

struct backend_meter {
    struct histogram latency;                 /* from a command given to a lane until its reply is whole */
    struct traffic traffic;                   /* of its lanes */
    struct handshake_meter handshakes;        /* likewise */
    _Atomic uint64_t opened;                  /* connections made */
    _Atomic uint64_t failed[CONNECT_STEPS_N]; /* attempts that failed, by what they were at */
    _Atomic uint64_t lost;                    /* connections that ended by no wish of ours */
    _Atomic uint64_t unanswered;              /* requests that were sent and got no reply in time, or none at all */
    _Atomic uint64_t billed;                  /* commands, where each costs */
    _Atomic uint64_t lanes, inflight, queued; /* connections and requests as they were a second ago at most */
    uint64_t lanes_counted, inflight_counted, queued_counted; /* the worker's own, while it counts */
};

enum { TALLY_CAUSES = 17, TALLY_WHYS = 7 };

/* Main's thread only. */
struct backend_tally {
    struct histogram checks; /* how long they took, passed or failed */
    struct traffic traffic;  /* of checks */
    struct handshake_meter handshakes;
    uint64_t dns_failures;
    uint64_t down_ms;                /* while it was down, as of the last snapshot */
    uint64_t failures[TALLY_CAUSES]; /* by enum health_cause */
    uint64_t selections[TALLY_WHYS]; /* by enum route_why */
};
