/*
 * What a limiter call is answered while no backend can decide, after on_backend_down: a reply of the call's own type,
 * so that an application that takes an error for leave to go on is denied, and one that dies of errors is not. Reason 4
 * is a denial, 5 leave; a cost above the limit fits at no time, so it is denied with reason 3 whatever the policy.
 * Nothing is charged, and a SEM.ACQUIRE that is allowed holds no place: its fence is 0. The same bytes in RESP2 and
 * RESP3. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reply_writer;

enum down_kind {
    DOWN_LIMIT,    /* LIM.GCRA, LIM.WINDOW, LIM.SLIDE */
    DOWN_THROTTLE, /* CL.THROTTLE */
    DOWN_SEM,      /* SEM.ACQUIRE */
    DOWN_ERROR, /* INCREX, LIM.REFUND, SEM.RELEASE and all others, which tell what is true on a backend: -RGUNAVAIL */
};

struct down_call {
    enum down_kind kind;
    int64_t limit;    /* max of a semaphore, max_burst + 1 of CL.THROTTLE */
    int64_t cost;     /* weight of a semaphore */
    int64_t lease_ms; /* of a semaphore: told as what is left of the lease when it is allowed */
};

/* retry_ms: when to come back after a denial, 1 at least. */
void down_reply(struct reply_writer *w, const struct down_call *call, bool allow, int64_t retry_ms);

/* LIM.MULTI of those: allowed when all are. */
void down_reply_multi(struct reply_writer *w, const struct down_call *calls, size_t n, bool allow, int64_t retry_ms);
