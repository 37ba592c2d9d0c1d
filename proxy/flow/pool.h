/*
 * A worker's lanes of one key. Replies and effects depend on the whole key, so a connection is never shared between
 * two.
 *
 *   shared ── clients' commands, pipelined; `connections` of them, each client sticks to one
 *   idle   ── ready, waiting to be pinned
 *   busy   ── pinned, diverted, or opening to become idle
 *
 * Thread: its worker's. Owner: its worker; freed when no client and no lane is left.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proxy/flow/hello.h"
#include "proxy/flow/lane.h"

struct worker;

/* Strings may be NULL. */
struct lane_key {
    struct backend *backend;
    char *user;
    char *password;
    unsigned db;
    bool db_chosen; /* it is not that of the URL, so it stays the same on other backends, whatever their URLs say */
    unsigned resp;  /* 2 or 3 */
};

enum pool_refusal {
    POOL_BAD_LOGIN, /* AUTH failed */
    POOL_BAD_KEY,   /* HELLO or SELECT failed */
};

enum pool_outcome {
    POOL_GRANTED,     /* a lane is idle now: pool_try_pin() it at once; or: the key is good */
    POOL_REFUSED,     /* the backend refuses this key; pool->refusal says why, in its own words */
    POOL_UNAVAILABLE, /* no connection within queue_timeout */
    POOL_FULL,        /* max_connections are in use */
};

/* A client that waits for a lane of its own, or for the proof that the backend accepts the key. */
struct pool_waiter {
    TAILQ_ENTRY(pool_waiter) link;
    struct pool *pool;       /* while waiting */
    struct pool *granted_by; /* where the idle lane is, during done() */
    bool wants_pin;
    uint64_t until_ms;
    void (*done)(struct pool_waiter *, enum pool_outcome); /* it does not wait any more */
};

struct pool {
    LIST_ENTRY(pool) link;
    struct worker *worker;
    uint32_t serial; /* of its worker's */
    struct lane_key key;
    struct backend_meter *meter; /* the worker's, of the key's backend */
    struct lane_list shared, idle, busy;
    unsigned n_shared, n_lanes;
    unsigned n_opening; /* lanes that open to become idle */
    unsigned n_clients;
    TAILQ_HEAD(, pool_waiter) waiters;
    bool proven; /* a login succeeded since the last refusal */
    bool noauth; /* the backend wants AUTH and the key has none */
    uint64_t proven_ms;
    uint64_t proven_acl; /* the crew's acl_changes then */
    char refusal[256];   /* "" = none */
    struct hello hello;
    unsigned failures; /* attempts to connect that failed, in a row, while the backend was in use */
    uint64_t retry_ms; /* not before this */
    struct deferred serve;
    bool serve_due;
};

/* Has the key lead to that db of its backend. */
void lane_key_select(struct lane_key *key, unsigned db);

/* The pool of a key, made when it is new; strings are copied. */
struct pool *pool_get(struct worker *worker, const struct lane_key *key);

/* Whether its backend is the one in use: only then are connections opened. */
bool pool_is_routed(const struct pool *pool);

/* Whether its backend has as many connections of this worker, whoever's, as it may; those to other backends, which a
 * switch leaves behind, do not count. */
bool pool_is_full(const struct pool *pool);

/* The shared lane for a client that has none. */
struct lane *pool_shared_lane(struct pool *pool);

/* A pin at once, or NULL. */
struct lane *pool_try_pin(struct pool *pool, struct lane_holder *holder);
/* Takes a shared lane out of sharing for its user alone (WAIT). */
void pool_pin_shared(struct pool *pool, struct lane *lane, struct lane_holder *holder);
/* Ends a pin: the lane is idle again when it is clean and nothing is in its queue, else it is closed. */
void pool_unpin(struct pool *pool, struct lane *lane);
/* New commands go elsewhere until the lane's queue has run dry. */
void pool_divert(struct pool *pool, struct lane *lane);
/* As pool_divert(), for any lane: what is in flight may end, then it is idle when it is clean, else closed. */
void pool_retire(struct pool *pool, struct lane *lane);
/* Its queue has run dry. */
void pool_lane_drained(struct pool *pool, struct lane *lane);

/* The worker goes over to another backend, or has none: ends the lanes of this pool. Those in flight of a backend that
 * is `alive` may end by themselves; of a dead one they are lost, and what was not sent stays with the shared lanes. */
void pool_leave_backend(struct pool *pool, bool alive, const char *reason);
/* Takes over a CLOSED shared lane, with what waits on it, from the pool of another backend. */
void pool_adopt(struct pool *pool, struct lane *lane);

/* Calls waiter->done later, never before this returns. */
void pool_wait(struct pool *pool, struct pool_waiter *waiter, bool wants_pin);
void pool_stop_waiting(struct pool_waiter *waiter); /* fine when it does not wait */
void pool_serve(struct pool *pool);

/* From lanes. */
void pool_lane_ready(struct pool *pool, struct lane *lane);
void pool_lane_lost(struct pool *pool, struct lane *lane, bool was_ready, const char *reason);
void pool_refused(struct pool *pool, const char *text, enum pool_refusal refusal);

/* --- pool_clock.c, and what it shares with pool.c --- */

void pool_drop_lane(struct pool *pool, struct lane *lane);
void pool_finish_waiter(struct pool_waiter *waiter, enum pool_outcome outcome);
/* Opens a CLOSED lane, or has the clock see to it. */
void pool_open_if_due(struct pool *pool, struct lane *lane);

/* Deadlines and reconnects; true when it wants to be called again soon. */
bool pool_tick(struct pool *pool, uint64_t now_ms);
/* Once a second: closes lanes that were idle for too long. True when the pool was freed. */
bool pool_tidy(struct pool *pool, uint64_t now_ms);
/* Closes and frees everything. No client may be left. */
void pool_free(struct pool *pool);
