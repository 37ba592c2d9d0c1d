#include "limiter/local_limit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "limiter/hash.h"

enum { TRIES = 8, BYTES_PER_BUCKET = 128 };

/* What a key has used: nothing once `end` is past. */
struct entry {
    TAILQ_ENTRY(entry) by_use;
    LIST_ENTRY(entry) by_key;
    enum local_algorithm algorithm;
    int64_t end;   /* TAT in ns, or the end of the window in us */
    int64_t count; /* in the window */
    size_t key_len;
    uint8_t key[];
};

LIST_HEAD(bucket, entry);
TAILQ_HEAD(entry_queue, entry);

struct local_limit {
    uint64_t seed;
    size_t bytes, max_bytes, keys;
    size_t mask;
    struct bucket *buckets;
    struct entry_queue by_use; /* last used first */
};

/* The share of a call's limit, and what of it is used. */
struct tally {
    int64_t limit, span, cost;
    int64_t ahead_ns; /* GCRA: from now to the TAT */
    int64_t count;    /* window */
    int64_t left_us;  /* window: to its end */
};

struct local_limit *local_limit_new(size_t max_bytes, uint64_t seed)
{
    struct local_limit *local = calloc(1, sizeof *local);
    size_t buckets = 1;

    if (!local)
        return NULL;
    while (2 * buckets <= max_bytes / BYTES_PER_BUCKET)
        buckets *= 2;
    local->seed = seed;
    local->max_bytes = max_bytes;
    local->mask = buckets - 1;
    local->buckets = calloc(buckets, sizeof *local->buckets);
    TAILQ_INIT(&local->by_use);
    if (!local->buckets) {
        free(local);
        return NULL;
    }
    return local;
}

static size_t size_of(size_t key_len)
{
    return sizeof(struct entry) + key_len;
}

static void drop(struct local_limit *local, struct entry *entry)
{
    TAILQ_REMOVE(&local->by_use, entry, by_use);
    LIST_REMOVE(entry, by_key);
    local->bytes -= size_of(entry->key_len);
    local->keys--;
    free(entry);
}

void local_limit_free(struct local_limit *local)
{
    if (!local)
        return;
    while (!TAILQ_EMPTY(&local->by_use))
        drop(local, TAILQ_FIRST(&local->by_use));
    free(local->buckets);
    free(local);
}

static struct bucket *bucket_of(const struct local_limit *local, const struct local_call *call)
{
    return &local->buckets[hash_key(call->key, call->key_len, local->seed) & local->mask];
}

static struct entry *lookup(const struct bucket *bucket, const struct local_call *call)
{
    struct entry *entry;

    LIST_FOREACH(entry, bucket, by_key)
    if (entry->algorithm == call->algorithm && entry->key_len == call->key_len &&
        memcmp(entry->key, call->key, call->key_len) == 0)
        return entry;
    return NULL;
}

static bool is_over(const struct entry *entry, int64_t now_us)
{
    return entry->end <= (entry->algorithm == LOCAL_GCRA ? now_us * 1000 : now_us);
}

/* Makes room by dropping what no longer counts, looking at a few of the least used only. */
static bool make_room(struct local_limit *local, size_t need, int64_t now_us)
{
    struct entry *oldest = TAILQ_LAST(&local->by_use, entry_queue), *next;

    for (int i = 0; i < TRIES && oldest && local->bytes + need > local->max_bytes; i++, oldest = next) {
        next = TAILQ_PREV(oldest, entry_queue, by_use);
        if (is_over(oldest, now_us)) {
            drop(local, oldest);
            continue;
        }
        TAILQ_REMOVE(&local->by_use, oldest, by_use);
        TAILQ_INSERT_HEAD(&local->by_use, oldest, by_use);
    }
    return local->bytes + need <= local->max_bytes;
}

/* NULL when there is no room. */
static struct entry *add(struct local_limit *local, const struct local_call *call, int64_t now_us)
{
    size_t need = size_of(call->key_len);
    struct entry *entry = make_room(local, need, now_us) ? calloc(1, need) : NULL;

    if (!entry)
        return NULL;
    entry->algorithm = call->algorithm;
    entry->key_len = call->key_len;
    memcpy(entry->key, call->key, call->key_len);
    LIST_INSERT_HEAD(bucket_of(local, call), entry, by_key);
    TAILQ_INSERT_HEAD(&local->by_use, entry, by_use);
    local->bytes += need;
    local->keys++;
    return entry;
}

static int64_t bounded(__int128 n)
{
    return n < INT64_MAX / 4 ? (int64_t)n : INT64_MAX / 4;
}

/* The share of the limit, and of the rate: a GCRA emits that much more slowly. */
static struct tally tally_of(const struct local_call *call)
{
    int64_t share = bounded((__int128)call->limit * call->share_percent / 100);
    int64_t span = call->span;

    if (call->algorithm == LOCAL_GCRA)
        span = bounded(((__int128)span * 100 + call->share_percent - 1) / call->share_percent);
    return (struct tally){.limit = share > 0 ? share : 1, .span = span, .cost = call->cost};
}

static void tally_load(struct tally *tally, const struct entry *entry, int64_t now_us)
{
    if (!entry || is_over(entry, now_us))
        return;
    if (entry->algorithm == LOCAL_GCRA) {
        tally->ahead_ns = entry->end - now_us * 1000;
        return;
    }
    tally->count = entry->count;
    tally->left_us = entry->end - now_us;
}

static int64_t ms(__int128 n, int64_t unit)
{
    return n > 0 ? bounded((n + unit - 1) / unit) : 0;
}

/* How many calls fit now. */
static int64_t remaining(const struct tally *tally, enum local_algorithm algorithm)
{
    __int128 room = tally->limit - tally->count;

    if (algorithm == LOCAL_GCRA)
        room = ((__int128)tally->limit * tally->span - tally->ahead_ns) / tally->span;
    return room > 0 ? (int64_t)room : 0;
}

/* When `cost` fits, in ms from now, 0 now; that of the share when it is above. */
static int64_t wait_ms(const struct tally *tally, enum local_algorithm algorithm, int64_t cost)
{
    int64_t fits = cost < tally->limit ? cost : tally->limit;

    if (algorithm == LOCAL_GCRA)
        return ms(tally->ahead_ns + (__int128)(fits - tally->limit) * tally->span, 1000000);
    return tally->count + fits > tally->limit ? ms(tally->left_us, 1000) : 0;
}

static void store(struct entry *entry, struct tally *tally, int64_t now_us)
{
    if (entry->algorithm == LOCAL_GCRA) {
        tally->ahead_ns = bounded(tally->ahead_ns + (__int128)tally->cost * tally->span);
        entry->end = now_us * 1000 + tally->ahead_ns;
        return;
    }
    if (tally->count == 0)
        tally->left_us = bounded(tally->span);
    tally->count += tally->cost;
    entry->count = tally->count;
    entry->end = now_us + tally->left_us;
}

static void fill(int64_t reply[LIMIT_FIELDS], const struct tally *tally, enum local_algorithm algorithm)
{
    int64_t rest = remaining(tally, algorithm);

    reply[LIMIT_LIMIT] = tally->limit;
    reply[LIMIT_REMAINING] = rest;
    reply[LIMIT_RESET_MS] = algorithm == LOCAL_GCRA ? ms(tally->ahead_ns, 1000000) : ms(tally->left_us, 1000);
    reply[LIMIT_NEXT_MS] = reply[LIMIT_RESET_MS];
    if (algorithm == LOCAL_GCRA && rest < tally->limit)
        reply[LIMIT_NEXT_MS] = wait_ms(tally, algorithm, rest + 1);
}

static void deny(int64_t reply[LIMIT_FIELDS], const struct tally *tally, const struct local_call *call,
                 int64_t retry_ms, enum limit_reason reason)
{
    fill(reply, tally, call->algorithm);
    reply[LIMIT_ALLOWED] = 0;
    reply[LIMIT_RETRY_MS] = retry_ms;
    reply[LIMIT_CHARGED] = 0;
    reply[LIMIT_REASON] = reason;
}

void local_limit_call(struct local_limit *local, const struct local_call *call, int64_t now_us,
                      int64_t reply[LIMIT_FIELDS])
{
    struct entry *entry = lookup(bucket_of(local, call), call);
    struct tally tally = tally_of(call);
    int64_t whole_ms =
        call->algorithm == LOCAL_GCRA ? ms((__int128)tally.limit * tally.span, 1000000) : ms(tally.span, 1000);

    tally_load(&tally, entry, now_us);
    if (call->mode == LOCAL_PARTIAL) {
        int64_t rest = remaining(&tally, call->algorithm);
        int64_t most = rest > 0 ? rest : 1;
        tally.cost = tally.cost < most ? tally.cost : most;
    }
    if (tally.cost > call->limit) {
        deny(reply, &tally, call, LIMIT_RETRY_NEVER, REASON_COST);
        return;
    }
    int64_t retry_ms = wait_ms(&tally, call->algorithm, tally.cost);
    if (retry_ms > 0 || tally.cost > tally.limit) {
        deny(reply, &tally, call, retry_ms > 0 ? retry_ms : whole_ms, REASON_LOCAL);
        return;
    }
    if (call->mode != LOCAL_PEEK && !entry && !(entry = add(local, call, now_us))) {
        deny(reply, &tally, call, whole_ms, REASON_LOCAL);
        return;
    }
    if (call->mode != LOCAL_PEEK) {
        store(entry, &tally, now_us);
        TAILQ_REMOVE(&local->by_use, entry, by_use);
        TAILQ_INSERT_HEAD(&local->by_use, entry, by_use);
    }
    fill(reply, &tally, call->algorithm);
    reply[LIMIT_ALLOWED] = 1;
    reply[LIMIT_RETRY_MS] = LIMIT_RETRY_NONE;
    reply[LIMIT_CHARGED] = call->mode == LOCAL_PEEK ? 0 : tally.cost;
    reply[LIMIT_REASON] = REASON_LOCAL;
}

size_t local_limit_keys(const struct local_limit *local)
{
    return local->keys;
}
