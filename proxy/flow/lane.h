/*
 * One connection to a backend, and the queue that says whose reply comes next.
 *
 *                 lane_open                 login done
 *   CLOSED ───────────────────> OPENING ─────────────────> READY
 *     ^                            │                         │
 *     └───── lost, or refused ─────┴──────── lost ───────────┘
 *
 * Commands may be given to a lane in any state: until it is READY they wait in `pending`, and what was not handed to
 * the kernel when a shared lane is lost waits there again. The role says who may give it commands; pool.c moves it:
 *
 *   SHARED     any client of its pool
 *   DIVERTED   nobody: it was shared, one slow reader holds it up; its queue runs dry, then it is idle
 *   PINNED     its holder only
 *   IDLE       nobody, ready to be pinned
 *   DEAD       nobody; freed when the last reference is gone
 *
 * Thread: its worker's. Owner: its pool. Clients keep references (lane_ref) to a lane they stick to.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "protocol/resp.h"
#include "proxy/flow/login.h"
#include "proxy/flow/request.h"
#include "proxy/net/conn.h"

struct pool;

enum lane_state { LANE_CLOSED, LANE_OPENING, LANE_READY };
enum lane_role { LANE_SHARED, LANE_DIVERTED, LANE_PINNED, LANE_IDLE, LANE_DEAD };

/* Who has the lane for itself: embedded in the client. */
struct lane_holder {
    const struct lane_holder_ops *ops;
};

struct lane_holder_ops {
    /* Bytes that answer no request: a push, a pub/sub message of RESP2, or anything on a tunnel. */
    void (*on_message)(struct lane_holder *, struct lane *, const uint8_t *bytes, size_t len, bool last);
    /* The lane is gone; the requests on it were told before. */
    void (*on_lane_lost)(struct lane_holder *, struct lane *, const char *reason);
};

/* A client that waits until a lane can take more bytes. */
struct lane_waiter {
    TAILQ_ENTRY(lane_waiter) link;
    void (*wake)(struct lane_waiter *);
};

struct lane {
    struct conn conn;
    struct pool *pool;
    TAILQ_ENTRY(lane) link;
    struct reapable reapable;
    enum lane_state state;
    enum lane_role role;
    unsigned refs;
    uint64_t serial;            /* for the log */
    struct lane_holder *holder; /* while PINNED */
    struct request_queue queue;
    struct buf pending; /* commands that wait for READY */
    uint64_t given;     /* bytes of commands given so far: the offset of the next request */
    uint64_t base;      /* offset of the first command byte written on this connection, less conn.written then */
    struct reply_scan scan;
    uint64_t delivered; /* bytes of the current reply that were handed on */
    uint8_t target;     /* enum: to whom the current reply goes */
    bool subscriber;    /* RESP2 messages may come between replies */
    bool tunnel;        /* replies are not parsed any more */
    bool clean;         /* the connection holds no session state: it may be idle again */
    struct login login;
    uint64_t backend_id; /* CLIENT ID of this connection on the server; 0 = not known */
    uint64_t opening_until_ms;
    uint64_t used_ms;            /* when it was last given a command or became idle */
    uint64_t received_then;      /* conn.received when it was last asked whether users get replies */
    uint64_t heard_at, heard_ms; /* conn.received when it was last seen to grow, and when that was */
    uint64_t held_up_ms;         /* while DIVERTED: how long those behind have waited for clients that do not read */
    uint64_t held_up_from;       /* conn.received when it was diverted */
    char name[64];               /* CLIENT SETNAME in effect on the backend; "" = none */
    TAILQ_HEAD(, lane_waiter) waiters;
};

TAILQ_HEAD(lane_list, lane);

struct lane *lane_new(struct pool *pool, enum lane_role role);
void lane_ref(struct lane *lane);
void lane_unref(struct lane *lane); /* NULL is fine */

/* Starts connecting a CLOSED lane; pool_lane_ready() or pool_lane_lost() follows, the latter maybe at once. */
void lane_open(struct lane *lane);

/* Gives one whole command, or the first part of one. The request is valid until the queue changes. */
struct request *lane_send(struct lane *lane, struct requester *owner, uint8_t kind, const void *bytes, size_t len);
/* The same for one more command of a run: the newest request, when it is a run of this owner; else NULL. */
struct request *lane_send_in_run(struct lane *lane, const struct requester *owner, bool muted, const void *bytes,
                                 size_t len);
/* Further bytes: of the newest request, or on a tunnel. */
void lane_send_more(struct lane *lane, const void *bytes, size_t len);

/* Sends a command of our own whose reply nobody wants. */
void lane_send_silent(struct lane *lane, const void *bytes, size_t len);

/* True when so much is queued that a client must wait; lane_wait() wakes it when there is room. */
bool lane_is_congested(const struct lane *lane);
void lane_wait(struct lane *lane, struct lane_waiter *waiter);
void lane_stop_waiting(struct lane *lane, struct lane_waiter *waiter);

/* For pool.c: takes the lane out for good, without telling anybody. Its queue must be empty or tombstones. */
void lane_bury(struct lane *lane);

/* --- lane_end.c --- */

/* Ends the connection: every request in its queue is told, the holder too, then the pool. */
void lane_fail(struct lane *lane, const char *reason);
/* The same for a lane that is given up on purpose, without telling its holder. */
void lane_drop(struct lane *lane, const char *reason);
/* --- lane_deadline.c, and what it shares with lane.c and lane_end.c --- */

void lane_wake_waiters(struct lane *lane);
/* Nobody is left to answer the oldest request. */
void lane_lose_oldest(struct lane *lane, enum request_loss loss);
/* Tells the owners of requests that waited unsent for longer than the deadline, or in vain for a reply. */
void lane_expire_unsent(struct lane *lane, uint64_t now_ms, uint64_t timeout_ms);
void lane_expire_sent(struct lane *lane, uint64_t now_ms, uint64_t timeout_ms);
/* Whether requests wait for replies and nothing at all has come for so long, though we would have read it. */
bool lane_is_silent(struct lane *lane, uint64_t now_ms, uint64_t threshold_ms);

/* For login.c: the connection is proven to be in step. */
void lane_login_done(struct lane *lane);
