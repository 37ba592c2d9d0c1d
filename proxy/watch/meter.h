/*
 * What is counted of one backend: by each worker (a meter of its own, which it makes when it first has to do with the
 * backend and alone writes), and by main's thread, which checks and chooses. Both live as long as the backend, which
 * frees them.
 */
#pragma once

#include "proxy/watch/histogram.h"

struct backend_meter {
    struct histogram latency;                 /* from a command given to a lane until its reply is whole */
    _Atomic uint64_t opened;                  /* connections made */
    _Atomic uint64_t failed;                  /* attempts that failed */
    _Atomic uint64_t lost;                    /* connections that ended by no wish of ours */
    _Atomic uint64_t lanes, inflight;         /* connections and requests as they were a second ago at most */
    uint64_t lanes_counted, inflight_counted; /* the worker's own, while it counts */
};

enum { TALLY_CAUSES = 17, TALLY_WHYS = 7 };

/* Main's thread only. */
struct backend_tally {
    struct histogram checks;         /* how long they took, passed or failed */
    uint64_t failures[TALLY_CAUSES]; /* by enum health_cause */
    uint64_t selections[TALLY_WHYS]; /* by enum route_why */
};
