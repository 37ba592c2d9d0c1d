/*
 * Limits counted in this process, for on_backend_down = local. What is granted here the backend does not know, so a
 * share of the limit may be set for each process. A GCRA is one TAT; windows, the sliding ones too, are a counter that
 * starts with its first call: at most the share in a window, and twice that in any stretch of its length. A semaphore
 * cannot be counted here: down_reply() denies it.
 *
 * Bounded, and never above a limit for that: when memory is full of keys that still count, a new key is denied. Kept
 * while the backend is up, so that one that comes and goes does not grant afresh each time; entries end by time. One
 * thread: each worker has its own, and its share (share / workers). No clock: now_us is monotonic. The owner frees it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limiter/limit_reply.h"

enum local_algorithm { LOCAL_GCRA, LOCAL_WINDOW };
enum local_mode { LOCAL_TAKE, LOCAL_PEEK, LOCAL_PARTIAL };

struct local_call {
    const uint8_t *key;
    size_t key_len;
    enum local_algorithm algorithm;
    enum local_mode mode;
    int64_t limit;          /* of the whole; CL.THROTTLE: max_burst + 1 */
    int64_t span;           /* GCRA: emission interval in ns at the whole rate; window: its length in us; 1 at least */
    int64_t cost;           /* 1 at least */
    unsigned share_percent; /* 1 to 100; the share of the limit is 1 at least */
};

struct local_limit;

struct local_limit *local_limit_new(size_t max_bytes, uint64_t seed); /* NULL without memory */
void local_limit_free(struct local_limit *local);                     /* NULL is fine */

/*
 * The LIMIT reply, its limit being the share; for CL.THROTTLE see limit_reply_to_throttle(). Reason 9, or 3 when cost
 * is above the whole limit. Retry is exact but in two cases, where it is when to ask again: cost is above the share, or
 * memory is full.
 */
void local_limit_call(struct local_limit *local, const struct local_call *call, int64_t now_us,
                      int64_t reply[LIMIT_FIELDS]);

size_t local_limit_keys(const struct local_limit *local);
