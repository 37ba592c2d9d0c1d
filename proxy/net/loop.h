/*
 * One thread's event loop, and its turn:
 *
 *   wait for readiness ─> all ready callbacks run ─> resumed connections go on ─> flush backends, then clients ─> reap
 *
 * Callbacks only queue bytes; every connection that has some is written once at the end of the turn, so writes batch by
 * themselves and nothing waits for a timer. Only its own thread may touch a loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proxy/net/buf.h"
#include "proxy/watch/counters.h"

struct conn;
struct event_base;

TAILQ_HEAD(conn_list, conn);

/* An object that is done: it stays valid until the turn ends, because callers up the stack may still hold it. */
struct reapable {
    SLIST_ENTRY(reapable) link;
    void (*free)(struct reapable *);
};

/* Work for a moment when nobody else is on the stack: in this turn, before the flush. */
struct deferred {
    STAILQ_ENTRY(deferred) link;
    void (*run)(struct deferred *);
};

enum {
    SCRATCH_SIZE = 49152, /* values of a megabyte cost a third less than with 16 KB, and no less with more than this */
};

enum loop_order { LOOP_FLUSH_FIRST, LOOP_FLUSH_LAST, LOOP_FLUSH_ORDERS };

struct loop {
    struct event_base *base;
    struct block_pool pool;
    struct conn_list dirty[LOOP_FLUSH_ORDERS]; /* have bytes to write */
    struct conn_list ready;                    /* have input that no readiness will announce */
    unsigned ready_count;
    STAILQ_HEAD(, deferred) deferred;
    SLIST_HEAD(, reapable) done;
    uint64_t now_ms; /* CLOCK_MONOTONIC, read once a turn; 0 = not read yet */
    uint64_t now_us; /* the same reading, finer */
    bool stop;
    struct traffic traffic;        /* of the connections that were not told to count elsewhere */
    uint8_t scratch[SCRATCH_SIZE]; /* where connections without leftovers read to */
    uint8_t record[BLOCK_LARGE];   /* where queued blocks are joined into one TLS record */
};

/* False when no event base can be made. */
bool loop_init(struct loop *loop);
void loop_finish(struct loop *loop);

/* Turns until loop->stop. */
void loop_run(struct loop *loop);

void loop_read_clock(struct loop *loop);

/* CLOCK_MONOTONIC at this moment, for who cannot take the turn's time. Any thread. */
int64_t clock_now_us(void);

/* This turn's time in milliseconds. */
static inline uint64_t loop_now_ms(struct loop *loop)
{
    if (!loop->now_ms)
        loop_read_clock(loop);
    return loop->now_ms;
}

/* The same in microseconds, of which the low bits serve for differences. */
static inline uint32_t loop_now_us(struct loop *loop)
{
    if (!loop->now_ms)
        loop_read_clock(loop);
    return (uint32_t)loop->now_us;
}

void loop_defer(struct loop *loop, struct deferred *work); /* not queued twice: the caller's care */
void loop_reap(struct loop *loop, struct reapable *object);
