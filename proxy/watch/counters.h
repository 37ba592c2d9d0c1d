/*
 * What a worker counts. One X-macro names every counter; each worker owns one struct and is its only writer, so
 * counting is a plain load, add and store. Others read with relaxed loads and sum over the workers.
 *
 * The ledger: accepted = replied + unavailable + unknown + state + limited + denied + client_gone, once nothing is in
 * flight.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define COUNTERS_LEDGER(X)                                                                                             \
    X(accepted, "requests read whole from a client")                                                                   \
    X(replied, "answered by the backend or here")                                                                      \
    X(unavailable, "RGUNAVAIL: never sent")                                                                            \
    X(unknown, "RGUNKNOWN: sent, outcome not known")                                                                   \
    X(state, "RGSTATE: the session's backend connection was lost")                                                     \
    X(limited, "RGLIMIT: over a bound of the configuration")                                                           \
    X(denied, "refused by policy or authentication")                                                                   \
    X(client_gone, "the client left before its reply")

#define COUNTERS(X)                                                                                                    \
    COUNTERS_LEDGER(X)                                                                                                 \
    X(clients_accepted, "connections taken")                                                                           \
    X(clients_rejected, "connections over max_clients")                                                                \
    X(clients_closed, "connections ended, for any reason")                                                             \
    X(clients_slow, "closed because they did not read")                                                                \
    X(clients_login_timeout, "closed because they did not log in")                                                     \
    X(protocol_errors, "requests with broken framing")                                                                 \
    X(lanes_opened, "backend connections made")                                                                        \
    X(lanes_failed, "backend connections that could not be made")                                                      \
    X(lanes_lost, "backend connections lost")                                                                          \
    X(pins, "times a client was given a connection of its own")                                                        \
    X(stray_replies, "replies that nobody had asked for")                                                              \
    X(stray_pushes, "pushes on a shared lane, dropped")                                                                \
    X(tombstones, "replies dropped because their client was gone")                                                     \
    X(scripts_healed, "EVALSHA sent again as EVAL")                                                                    \
    X(limits, "limiter calls, LIM.*, SEM.*, CL.THROTTLE and INCREX")                                                   \
    X(limits_denied, "limiter calls that were denied")                                                                 \
    X(limits_cached, "limiter calls denied here, because the backend must deny them again")                            \
    X(limits_down, "limiter calls answered here, because no backend was usable")                                       \
    X(limits_late, "limiter calls that came to the backend after their deadline and did nothing")                      \
    X(repairs, "commands of clients that know nothing of limits, sent as a rule has it")                               \
    X(repairs_down, "of those, answered here, because no backend could decide")                                        \
    X(slow_requests, "requests that took longer than stats.slowlog")

struct counters {
#define X(name, help) _Atomic uint64_t name;
    COUNTERS(X)
#undef X
};

static inline void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

/* Bytes of connections, all of one thread, which alone writes. */
struct traffic {
    _Atomic uint64_t read, written;
};

#define count(worker, name) counter_add(&(worker)->counters.name, 1)
