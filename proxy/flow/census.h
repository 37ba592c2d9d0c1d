/*
 * How many clients and connections are in which state: counted once a second, while the worker's clock looks at each
 * client anyway, and published for those who watch. So these numbers are a second old at most, and cost requests
 * nothing.
 *
 * Thread: the worker counts and writes; anybody may read the published gauges.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct client;
struct worker;

#define CENSUS(X)                                                                                                      \
    X(pinned, "have a backend connection of their own, for any reason")                                                \
    X(tx, "are between MULTI and EXEC, or watch keys")                                                                 \
    X(pubsub, "are subscribed")                                                                                        \
    X(blocking, "wait in a blocking command")                                                                          \
    X(waiting, "wait for the reply to a request")                                                                      \
    X(silent, "have been connected for 10 s and asked for nothing but who they are")

struct census {
#define X(name, help) uint64_t name;
    CENSUS(X)
#undef X
    uint64_t buffered_bytes;
};

struct census_gauges {
#define X(name, help) _Atomic uint64_t name;
    CENSUS(X)
#undef X
    _Atomic uint64_t buffered_bytes; /* read from clients and not taken yet, or to be written to them */
};

void census_count(struct census *census, const struct client *client, uint64_t now_ms);
void census_publish(struct worker *worker, const struct census *census);
/* Whether a client has never asked for anything that works. */
_Bool census_is_silent(const struct client *client, uint64_t now_ms);
/* Connections and requests in flight of each backend. */
void census_of_lanes(struct worker *worker);
