/*
 * One run of the reply-integrity load: options, counters, clients, and what they share. One thread; main.c owns it.
 *
 *   traffic (what to ask, what must come back) ──> client (bytes, slices, disconnects) ──> proxy
 *   verdict (is this the reply that must come?) <── client <────────────────────────────────┘
 *   partner: one more client that pushes and publishes for the others; killer: ends the backend's connections
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tagload/rng.h"

struct client;
struct killer;
struct partner;

/* X-macro of the counters: they are printed by these names. */
#define LOAD_COUNTERS(X)                                                                                               \
    X(requests)       /* sent or about to be sent */                                                                   \
    X(replies)        /* arrived in their place with their bytes */                                                    \
    X(messages)       /* pub/sub messages that arrived with their bytes */                                             \
    X(wrong)          /* anything else */                                                                              \
    X(missing)        /* never came on a connection that had no reason to be silent */                                 \
    X(unknown)        /* -RGUNKNOWN in place of a reply */                                                             \
    X(unavailable)    /* -RGUNAVAIL in place of a reply */                                                             \
    X(state)          /* -RGSTATE, then closed */                                                                      \
    X(disconnects)    /* by this side: at a random moment, or by QUIT or half-close */                                 \
    X(half_closes)    /* those of them that still wanted their replies, by half-close */                               \
    X(closed_by_peer) /* by the other side, allowed while faults are injected */                                       \
    X(reconnects)     /* connections after the first of each client */                                                 \
    X(pins)           /* replies that needed a backend connection of their own */                                      \
    X(kills)          /* CLIENT KILL commands sent to the backend */                                                   \
    X(killed)         /* backend connections they ended */

struct counters {
#define X(name) uint64_t name;
    LOAD_COUNTERS(X)
#undef X
};

struct options {
    char target_host[64], backend_host[64];
    uint16_t target_port, backend_port;
    uint32_t clients;
    uint32_t depth;            /* most requests in one pipeline */
    uint32_t kill_interval_ms; /* 0: no faults are injected, and none is forgiven */
    uint32_t stall_ms;         /* a reply that does not come for so long is missing */
    uint32_t max_seconds;
    uint64_t replies; /* stop after so many */
    uint64_t seed;
};

struct load {
    struct options options;
    struct counters counters;
    struct client *clients;
    struct partner *partner;
    struct killer *killer;
    uint64_t now_ms;
    uint64_t deadline_ms;
    uint64_t refused_ms; /* since when nobody could connect; 0: the last one could */
    uint32_t run_id;     /* part of every key and tag, so that runs against one Redis do not meet */
    int epoll_fd;
    bool faults;
    bool gone;          /* the target does not take connections any more: give up */
    bool stopping;      /* enough replies: finish what is under way, ask nothing new */
    bool wrong_printed; /* only the first wrong reply is printed */
};

/* What an epoll event belongs to; stands first in each struct that registers a descriptor. */
struct source {
    void (*on_event)(struct source *source, uint32_t events);
};

void load_watch(struct load *load, int fd, struct source *source, uint32_t events, bool is_new);
