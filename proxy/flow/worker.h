/*
 * A worker: one thread with its loop, listeners, clients and lanes. Workers share nothing but the settings and two
 * atomic counts; what must cross (CLIENT LIST, KILL, UNBLOCK over all clients) travels as an errand through their
 * mailboxes.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proxy/flow/census.h"
#include "proxy/flow/error_code.h"
#include "proxy/flow/request_class.h"
#include "proxy/flow/settings.h"
#include "proxy/health/backend.h"
#include "proxy/net/loop.h"
#include "proxy/watch/counters.h"
#include "proxy/watch/histogram.h"

struct client;
struct event;
struct listener;
struct pool;
struct roll_book;
struct foreign_names;
struct limiter;
struct repairer;
struct journal;
struct script_cache;
struct slowlog;
struct snapshot;
struct worker;

enum pool_refusal;

/* All workers of the process: made by main before the threads start. */
struct crew {
    struct worker *workers;
    unsigned count;
    struct journal *journal;         /* main's, for RESPGATE EVENTS; NULL: none */
    atomic_uint clients;             /* open client connections; written by all workers, at accept and close only */
    _Atomic uint64_t next_client;    /* the last client id given; written by all workers, at accept only */
    _Atomic uint64_t script_flushes; /* SCRIPT FLUSH commands that passed by; written by all workers */
    _Atomic uint64_t acl_changes;    /* ACL commands that passed by; written by all workers */
    _Atomic uint64_t limits_lowered; /* commands that may lower what limits count; written by all workers */
    atomic_uint working;             /* workers that have not ended; each writes it once */
    int done_fd;                     /* eventfd that the last worker to end writes */
    uint64_t lease_seed;             /* of the hashes by which workers know leases; random */
    bool ending;                     /* the threads are joined: errands have nowhere to go any more */
    atomic_bool drain_forced;        /* some worker had to cut off clients */
};

/* Something to be done on a worker's thread. */
struct errand {
    STAILQ_ENTRY(errand) link;
    void (*run)(struct worker *, struct errand *);
};

struct worker {
    struct loop loop;
    struct settings *settings; /* a reference; a reload replaces it between two turns */
    struct crew *crew;
    unsigned index;
    struct counters counters;
    struct histogram latency[REQUEST_CLASSES]; /* of requests, by class */
    uint32_t noted_us, noted_cell;             /* the last time that was noted there, and its cell */
    _Atomic uint64_t errors[ERROR_ORIGINS][REQUEST_CLASSES][ERROR_CODES_N]; /* error replies */
    struct census_gauges census;
    struct roll_book *roll;     /* who is connected */
    struct slowlog *slowlog;    /* what took long */
    struct histogram lag;       /* how late its clock of a second was */
    _Atomic uint64_t *commands; /* requests by the command's index */
    LIST_HEAD(, pool) pools;
    struct pool *home;         /* the pool of a client that has not asked for anything else, RESP2 */
    struct snapshot *snapshot; /* the latest of health; never NULL */
    struct backend *backend;   /* whose pools the clients are in: the chosen one, or the last that was */
    bool usable;               /* it is chosen now */
    bool was_usable;           /* some backend was, ever: clients may have seen data */
    bool hopeless;             /* nothing is usable, and requests shall not wait for that to change */
    uint64_t lane_serial;
    uint32_t pool_serial;
    TAILQ_HEAD(, client) clients;
    TAILQ_HEAD(, client) throttling; /* clients that hold up a lane because they do not read */
    struct listener *listeners;      /* linked list */
    struct script_cache *scripts;
    struct limiter *limiter;
    struct repairer *repairer;
    struct foreign_names *foreign;
    struct event *tick, *second, *mail;
    bool tick_armed;
    _Atomic uint64_t beat_ms; /* when its clock ticked last, each second; written by the worker */
    atomic_bool ended;        /* its loop is left; written by the worker */
    bool draining;
    uint64_t drain_until_ms;
    uint64_t random_state;
    pthread_t thread;
    pthread_mutex_t mail_lock; /* guards the list, for the moment of a link or unlink */
    STAILQ_HEAD(, errand) mailbox;
    int mail_fd;
};

/* Makes the workers and their listeners. False after logging what went wrong; crew_finish() is due all the same. */
bool crew_init(struct crew *crew, struct settings *settings);
/* Has all workers take up another route and, unless NULL, other settings, at their next turn. Main's thread. */
void crew_route(struct crew *crew, struct snapshot *snapshot, struct settings *settings);
/* Starts the threads. False after logging why one did not start; then crew_drain() and crew_finish() are due. */
bool crew_start(struct crew *crew);
/* Drains all workers; with `now`, cuts off everybody at once. Any thread. */
void crew_drain(struct crew *crew, bool now);
/* The sum over all workers of the counter at `offset` of struct counters. Any thread. */
uint64_t crew_total(const struct crew *crew, size_t offset);
/* Waits for the threads, logs the ledger when there were any, frees. */
void crew_finish(struct crew *crew);

/* Runs `errand` on the worker's thread. Any thread; the errand belongs to the receiver. */
void worker_post(struct worker *worker, struct errand *errand);

/* Asks for a call of the fine-grained clock (10 ms); it goes on as long as somebody has deadlines. */
void worker_want_tick(struct worker *worker);

uint64_t worker_random(struct worker *worker);

/* The backend refused the key of `pool`: its clients cannot go on. */
void worker_login_refused(struct worker *worker, struct pool *pool, enum pool_refusal refusal);
/* A backend connection was lost: what the backend was known to know may be gone. */
void worker_backend_lost(struct worker *worker);
/* Whether a request that finds no usable backend may give up by now: not before the first choice was made. */
bool worker_has_verdict(const struct worker *worker);
/* A client is gone: a draining worker may be done. */
void worker_client_gone(struct worker *worker);
