/*
 * Denials that the backend has given and must give again, so that a client that keeps asking costs it nothing. An entry
 * is (backend epoch, key, algorithm, parameters) -> the smallest cost denied and until when. It never allows anything.
 *
 *   served at u, for cost q  iff  q0 <= q <= limit  and  u - sent <= (retry_after - 1 unit) * (1 - drift)
 *
 * Why that is exact. The backend evaluated at some T >= sent. While nothing decreases, a denied GCRA stays denied until
 * T + r, as its TAT never falls; so does a fixed window, whose count never falls before its end; a sliding counter, as
 * the weight of the window before is all that falls, and r is when that suffices; a log, whose entries leave by time
 * only. A larger cost is denied as long at least. The reply tells r rounded up to its unit (1 ms; CL.THROTTLE: 1 s), so
 * r is more than retry_after - 1 unit, and a retry_after of one unit is not kept. drift is 0.1%, twice what clocks are
 * slewed by.
 *
 * It holds only while these do; else nothing worse happens than denials until retry_after is over:
 * - Nobody lowers or deletes these keys but through this process, which says so: deny_cache_forget() when DEL,
 * LIM.RESET, LIM.REFUND, a negative CL.THROTTLE quantity or any other write that names the key is sent, and again when
 * its reply has come or its outcome is unknown; deny_cache_clear() for FLUSHALL, FLUSHDB, EVAL, FUNCTION and the like.
 * Where others write, the cache must be off ([limit] deny_cache = no), or follow their changes (auto).
 * - The epoch changes whenever the backend may have lost state: another backend, a restart, a switch to a replica, a
 * lost connection. The backend must not evict (volatile-* and allkeys-* do), and its clock not be set forward.
 * - Not asked for PEEK (it is for the figures), IDEM (the backend may know the call), COUNTDENIED (a denial changes
 * state), calls inside MULTI, and semaphores (a place becomes free at any time). A PARTIAL call asks and learns with
 * cost 1.
 * - deny_cache_learn() hears every reply to a sliding call, allowed or denied, those within LIM.MULTI too: one window's
 * length can lower what another length on the same key counts, and then those denials are dropped.
 *
 * One thread: each worker has its own, and each must hear of every forget. All memory is taken at the start; no clock:
 * all times are one monotonic clock's microseconds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limiter/limit_reply.h"

enum { DENY_KEY_MAX = 120 }; /* calls with longer keys are not kept */

enum deny_algorithm { DENY_GCRA, DENY_WINDOW, DENY_SLIDE, DENY_SLIDE_LOG, DENY_THROTTLE };

struct deny_call {
    uint64_t epoch; /* of the backend it goes to */
    const uint8_t *key;
    size_t key_len;
    enum deny_algorithm algorithm;
    int64_t limit;    /* CL.THROTTLE: max_burst + 1 */
    int64_t span;     /* GCRA and CL.THROTTLE: emission interval in ns; the others: window in us */
    int64_t delay_us; /* GCRA with DELAY, else 0 */
    int64_t cost;
};

struct deny_cache_stats {
    uint64_t served, learnt, evicted, forgotten;
    size_t entries, capacity;
};

struct deny_cache;

/* As many entries as max_bytes holds, one at least; `seed` is random. NULL without memory. */
struct deny_cache *deny_cache_new(size_t max_bytes, uint64_t seed);
void deny_cache_free(struct deny_cache *cache); /* NULL is fine */

/*
 * Before a call is sent. The number of fields of the reply, THROTTLE_FIELDS or LIMIT_FIELDS; 0: ask the backend. The
 * reply is recomputed: times less what has passed since it was told; reason 2. retry_after is a lower bound if others
 * were charged meanwhile or q > q0 (there with the difference at the rate of a GCRA); remaining is as it was told.
 */
size_t deny_cache_find(struct deny_cache *cache, const struct deny_call *call, int64_t now_us,
                       int64_t reply[LIMIT_FIELDS]);

/* The backend's reply came: LIMIT_FIELDS or, to CL.THROTTLE, THROTTLE_FIELDS integers. sent_us: before it was sent. */
void deny_cache_learn(struct deny_cache *cache, const struct deny_call *call, const int64_t *reply, int64_t sent_us,
                      int64_t now_us);

/* Replies to calls that were sent until now are not learnt from: they may be older than the change. */
void deny_cache_forget(struct deny_cache *cache, const uint8_t *key, size_t len, int64_t now_us);
void deny_cache_clear(struct deny_cache *cache, int64_t now_us);

struct deny_cache_stats deny_cache_stats(const struct deny_cache *cache);
