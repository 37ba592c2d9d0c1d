#include "limiter/deny_cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "limiter/hash.h"

enum { US_PER_MS = 1000, US_PER_S = 1000000, DRIFT_PER = 1000 };
#define RETRY_MAX (INT64_C(1) << 40) /* units; keeps microseconds far from overflow, whatever a backend says */

struct entry {
    TAILQ_ENTRY(entry) by_use; /* all entries; unused ones at the end */
    LIST_ENTRY(entry) by_key;  /* the bucket's */
    uint64_t epoch;
    int64_t limit, span, delay_us;
    int64_t cost;     /* q0 */
    int64_t until_us; /* the last instant at which it is served */
    int64_t heard_us; /* when the reply came; T was not later, so that who waits from then on waits long enough */
    int64_t remaining, retry, reset, next;
    uint8_t algorithm;
    bool used;
    uint8_t key_len;
    uint8_t key[DENY_KEY_MAX];
};

TAILQ_HEAD(entry_queue, entry);
LIST_HEAD(entry_list, entry);

struct bucket {
    struct entry_list entries;
    int64_t fence_us;  /* calls sent until then are not learnt from */
    int64_t window_us; /* of the last sliding call that fell here */
};

struct deny_cache {
    uint64_t seed;
    int64_t fence_us;
    struct deny_cache_stats stats;
    size_t mask; /* buckets - 1 */
    struct bucket *buckets;
    struct entry *entries;
    struct entry_queue by_use; /* last used first */
};

struct deny_cache *deny_cache_new(size_t max_bytes, uint64_t seed)
{
    struct deny_cache *cache = calloc(1, sizeof *cache);
    size_t n = max_bytes / (sizeof(struct entry) + sizeof(struct bucket)), buckets = 1;

    if (!cache)
        return NULL;
    n = n > 0 ? n : 1;
    while (2 * buckets <= n)
        buckets *= 2;
    cache->seed = seed;
    cache->fence_us = INT64_MIN;
    cache->mask = buckets - 1;
    cache->stats.capacity = n;
    cache->entries = calloc(n, sizeof *cache->entries);
    cache->buckets = calloc(buckets, sizeof *cache->buckets);
    if (!cache->entries || !cache->buckets) {
        deny_cache_free(cache);
        return NULL;
    }
    TAILQ_INIT(&cache->by_use);
    for (size_t i = 0; i < n; i++)
        TAILQ_INSERT_TAIL(&cache->by_use, &cache->entries[i], by_use);
    for (size_t i = 0; i < buckets; i++)
        cache->buckets[i].fence_us = INT64_MIN;
    return cache;
}

void deny_cache_free(struct deny_cache *cache)
{
    if (!cache)
        return;
    free(cache->entries);
    free(cache->buckets);
    free(cache);
}

static struct bucket *bucket_of(const struct deny_cache *cache, const uint8_t *key, size_t len)
{
    return &cache->buckets[hash_key(key, len, cache->seed) & cache->mask];
}

static bool has_key(const struct entry *entry, const uint8_t *key, size_t len)
{
    return entry->key_len == len && memcmp(entry->key, key, len) == 0;
}

static bool matches(const struct entry *entry, const struct deny_call *call)
{
    return entry->epoch == call->epoch && entry->algorithm == call->algorithm && entry->limit == call->limit &&
           entry->span == call->span && entry->delay_us == call->delay_us && has_key(entry, call->key, call->key_len);
}

static void drop(struct deny_cache *cache, struct entry *entry)
{
    LIST_REMOVE(entry, by_key);
    entry->used = false;
    cache->stats.entries--;
    TAILQ_REMOVE(&cache->by_use, entry, by_use);
    TAILQ_INSERT_TAIL(&cache->by_use, entry, by_use);
}

static struct entry *lookup(const struct bucket *bucket, const struct deny_call *call)
{
    struct entry *entry;

    LIST_FOREACH(entry, &bucket->entries, by_key)
    if (matches(entry, call))
        return entry;
    return NULL;
}

/* An unused entry, or the one that was not used for longest, at home in this bucket. */
static struct entry *take(struct deny_cache *cache, struct bucket *bucket)
{
    struct entry *entry = TAILQ_LAST(&cache->by_use, entry_queue);

    if (entry->used) {
        drop(cache, entry);
        cache->stats.evicted++;
    }
    entry->used = true;
    cache->stats.entries++;
    LIST_INSERT_HEAD(&bucket->entries, entry, by_key);
    return entry;
}

static void touch(struct deny_cache *cache, struct entry *entry)
{
    TAILQ_REMOVE(&cache->by_use, entry, by_use);
    TAILQ_INSERT_HEAD(&cache->by_use, entry, by_use);
}

static int64_t unit_us(enum deny_algorithm algorithm)
{
    return algorithm == DENY_THROTTLE ? US_PER_S : US_PER_MS;
}

static bool is_sliding(enum deny_algorithm algorithm)
{
    return algorithm == DENY_SLIDE || algorithm == DENY_SLIDE_LOG;
}

/* What is left of `told` units after `passed_us`, rounded up to units; 0 when nothing is. */
static int64_t left(int64_t told, int64_t passed_us, int64_t unit)
{
    int64_t left_us = told * unit - passed_us;

    return left_us > 0 ? (left_us + unit - 1) / unit : 0;
}

/* How many units longer a GCRA denies `cost` than it denies the entry's; the last one may be begun only. */
static int64_t longer(const struct entry *entry, int64_t cost, int64_t unit)
{
    if (entry->algorithm != DENY_GCRA && entry->algorithm != DENY_THROTTLE)
        return 0;
    __int128 units = ((__int128)(cost - entry->cost) * entry->span + unit * 1000 - 1) / (unit * 1000);
    return units < RETRY_MAX ? (int64_t)units : RETRY_MAX;
}

/* A time as a backend tells it, whatever it says. */
static int64_t bounded(int64_t units)
{
    return units < 0 ? 0 : units < RETRY_MAX ? units : RETRY_MAX;
}

static int64_t at_least_one(int64_t n)
{
    return n > 0 ? n : 1;
}

static size_t answer(const struct entry *entry, int64_t cost, int64_t now_us, int64_t reply[LIMIT_FIELDS])
{
    int64_t unit = unit_us(entry->algorithm), passed_us = now_us - entry->heard_us;
    int64_t retry = at_least_one(left(entry->retry + longer(entry, cost, unit), passed_us, unit));
    int64_t reset = left(entry->reset, passed_us, unit);

    if (entry->algorithm == DENY_THROTTLE) {
        reply[THROTTLE_LIMITED] = 1;
        reply[THROTTLE_LIMIT] = entry->limit;
        reply[THROTTLE_REMAINING] = entry->remaining;
        reply[THROTTLE_RETRY_S] = retry;
        reply[THROTTLE_RESET_S] = reset;
        return THROTTLE_FIELDS;
    }
    reply[LIMIT_ALLOWED] = 0;
    reply[LIMIT_LIMIT] = entry->limit;
    reply[LIMIT_REMAINING] = entry->remaining;
    reply[LIMIT_RETRY_MS] = retry;
    reply[LIMIT_RESET_MS] = reset;
    reply[LIMIT_NEXT_MS] = at_least_one(left(entry->next, passed_us, unit));
    reply[LIMIT_CHARGED] = 0;
    reply[LIMIT_REASON] = REASON_CACHED;
    return LIMIT_FIELDS;
}

size_t deny_cache_find(struct deny_cache *cache, const struct deny_call *call, int64_t now_us,
                       int64_t reply[LIMIT_FIELDS])
{
    struct entry *entry = lookup(bucket_of(cache, call->key, call->key_len), call);

    if (!entry)
        return 0;
    if (now_us > entry->until_us) {
        drop(cache, entry);
        return 0;
    }
    if (call->cost < entry->cost || call->cost > call->limit)
        return 0;
    touch(cache, entry);
    cache->stats.served++;
    return answer(entry, call->cost, now_us, reply);
}

/* Another length of window on a key may have lowered what this one counts: see parts/slide.lua and parts/log.lua. */
static void note_window(struct deny_cache *cache, struct bucket *bucket, const struct deny_call *call, int64_t now_us)
{
    struct entry *entry, *next;

    if (bucket->window_us == call->span)
        return;
    bucket->window_us = call->span;
    bucket->fence_us = now_us;
    for (entry = LIST_FIRST(&bucket->entries); entry; entry = next) {
        next = LIST_NEXT(entry, by_key);
        if (is_sliding(entry->algorithm) && entry->span != call->span && has_key(entry, call->key, call->key_len))
            drop(cache, entry);
    }
}

/* The time for which the backend's denial stands after it was sent; negative when it is none, or none to keep. */
static int64_t stands_us(const struct deny_call *call, const int64_t *reply)
{
    bool throttle = call->algorithm == DENY_THROTTLE;
    bool denied = throttle ? reply[THROTTLE_LIMITED] == 1
                           : !reply[LIMIT_ALLOWED] && reply[LIMIT_REASON] == REASON_LIMITED && !reply[LIMIT_CHARGED];
    int64_t retry = reply[throttle ? THROTTLE_RETRY_S : LIMIT_RETRY_MS];

    if (!denied || retry < 2 || call->cost < 1 || call->cost > call->limit)
        return -1;
    int64_t exact_us = (bounded(retry) - 1) * unit_us(call->algorithm);
    return exact_us - (exact_us + DRIFT_PER - 1) / DRIFT_PER;
}

static void keep(struct entry *entry, const struct deny_call *call, const int64_t *reply)
{
    bool throttle = call->algorithm == DENY_THROTTLE;
    int64_t retry = reply[throttle ? THROTTLE_RETRY_S : LIMIT_RETRY_MS];
    int64_t reset = reply[throttle ? THROTTLE_RESET_S : LIMIT_RESET_MS];

    entry->epoch = call->epoch;
    entry->algorithm = call->algorithm;
    entry->limit = call->limit;
    entry->span = call->span;
    entry->delay_us = call->delay_us;
    entry->cost = call->cost;
    entry->remaining = reply[throttle ? THROTTLE_REMAINING : LIMIT_REMAINING];
    entry->retry = bounded(retry);
    entry->reset = bounded(reset);
    entry->next = throttle ? 0 : bounded(reply[LIMIT_NEXT_MS]);
    entry->key_len = (uint8_t)call->key_len;
    memcpy(entry->key, call->key, call->key_len);
}

void deny_cache_learn(struct deny_cache *cache, const struct deny_call *call, const int64_t *reply, int64_t sent_us,
                      int64_t now_us)
{
    if (call->key_len > DENY_KEY_MAX)
        return;
    struct bucket *bucket = bucket_of(cache, call->key, call->key_len);
    int64_t stands = stands_us(call, reply), until_us = sent_us + stands;

    if (is_sliding(call->algorithm))
        note_window(cache, bucket, call, now_us);
    if (stands < 0 || until_us < now_us || sent_us <= bucket->fence_us || sent_us <= cache->fence_us)
        return;
    struct entry *entry = lookup(bucket, call);
    bool covers = entry && entry->until_us >= now_us && entry->cost <= call->cost;
    if (covers && (entry->cost < call->cost || entry->until_us >= until_us))
        return;
    if (!entry)
        entry = take(cache, bucket);
    keep(entry, call, reply);
    entry->until_us = until_us;
    entry->heard_us = now_us;
    touch(cache, entry);
    cache->stats.learnt++;
}

void deny_cache_forget(struct deny_cache *cache, const uint8_t *key, size_t len, int64_t now_us)
{
    struct bucket *bucket = bucket_of(cache, key, len);
    struct entry *entry, *next;

    bucket->fence_us = now_us;
    for (entry = LIST_FIRST(&bucket->entries); entry; entry = next) {
        next = LIST_NEXT(entry, by_key);
        if (has_key(entry, key, len)) {
            drop(cache, entry);
            cache->stats.forgotten++;
        }
    }
}

void deny_cache_clear(struct deny_cache *cache, int64_t now_us)
{
    cache->fence_us = now_us;
    for (size_t i = 0; i < cache->stats.capacity; i++) {
        if (cache->entries[i].used) {
            drop(cache, &cache->entries[i]);
            cache->stats.forgotten++;
        }
    }
}

struct deny_cache_stats deny_cache_stats(const struct deny_cache *cache)
{
    return cache->stats;
}
