#include "proxy/flow/script_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/flow/client.h"
#include "proxy/flow/digest.h"
#include "proxy/net/log.h"

enum { BUCKETS = 256, SHA_HEX = 40, KEPT_CALL_MAX = BLOCK_LARGE };

struct script {
    LIST_ENTRY(script) by_body, by_sha;
    TAILQ_ENTRY(script) use;
    uint64_t hash; /* of the body */
    uint64_t epoch;
    char sha[SHA_HEX + 1];
    size_t len;
    uint8_t body[];
};

LIST_HEAD(script_bucket, script);

struct script_cache {
    size_t max_bytes, bytes;
    uint64_t epoch;
    uint64_t flushes;                     /* the crew's script_flushes when the cache was last looked at */
    TAILQ_HEAD(script_uses, script) uses; /* most recent first */
    struct script_bucket by_body[BUCKETS], by_sha[BUCKETS];
};

struct script_cache *script_cache_new(size_t max_bytes)
{
    struct script_cache *cache = max_bytes ? calloc(1, sizeof(*cache)) : NULL;

    if (!cache)
        return NULL;
    cache->max_bytes = max_bytes;
    cache->epoch = 1;
    TAILQ_INIT(&cache->uses);
    return cache;
}

static void drop(struct script_cache *cache, struct script *script)
{
    LIST_REMOVE(script, by_body);
    LIST_REMOVE(script, by_sha);
    TAILQ_REMOVE(&cache->uses, script, use);
    cache->bytes -= sizeof(*script) + script->len;
    free(script);
}

static void drop_all(struct script_cache *cache)
{
    struct script *next;

    for (struct script *script = TAILQ_FIRST(&cache->uses); script; script = next) {
        next = TAILQ_NEXT(script, use);
        drop(cache, script);
    }
}

void script_cache_free(struct script_cache *cache)
{
    if (!cache)
        return;
    drop_all(cache);
    free(cache);
}

void script_cache_new_epoch(struct script_cache *cache)
{
    if (cache)
        cache->epoch++;
}

/* Only has to spread: equality is decided by the bytes. */
static uint64_t hash_body(const uint8_t *body, size_t len)
{
    uint64_t hash = len * UINT64_C(0x9e3779b97f4a7c15), word;

    for (; len >= sizeof(word); body += sizeof(word), len -= sizeof(word)) {
        memcpy(&word, body, sizeof(word));
        hash = (hash ^ word) * UINT64_C(0xff51afd7ed558ccd);
        hash ^= hash >> 32;
    }
    word = 0;
    memcpy(&word, body, len);
    hash = (hash ^ word) * UINT64_C(0xc4ceb9fe1a85ec53);
    return hash ^ hash >> 29;
}

static unsigned sha_bucket(const char *sha)
{
    unsigned n = 0;
    for (int i = 0; i < 4; i++)
        n = n * 31 + (unsigned char)sha[i];
    return n % BUCKETS;
}

static void sha_hex(const uint8_t *body, size_t len, char hex[SHA_HEX + 1])
{
    uint8_t digest[DIGEST_SHA1_LEN];

    digest_sha1(body, len, digest);
    for (int i = 0; i < DIGEST_SHA1_LEN; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void touch(struct script_cache *cache, struct script *script)
{
    TAILQ_REMOVE(&cache->uses, script, use);
    TAILQ_INSERT_HEAD(&cache->uses, script, use);
}

static void drop_least_used(struct script_cache *cache)
{
    struct script *before;

    for (struct script *script = TAILQ_LAST(&cache->uses, script_uses); cache->bytes > cache->max_bytes;
         script = before) {
        before = TAILQ_PREV(script, script_uses, use);
        drop(cache, script);
    }
}

/* Remembers a body that is about to run or to be loaded. */
static void remember(struct script_cache *cache, const uint8_t *body, size_t len)
{
    uint64_t hash = hash_body(body, len);
    struct script *script;

    LIST_FOREACH(script, &cache->by_body[hash % BUCKETS], by_body)
    if (script->hash == hash && script->len == len && !memcmp(script->body, body, len)) {
        script->epoch = cache->epoch;
        touch(cache, script);
        return;
    }
    if (sizeof(*script) + len > cache->max_bytes || !(script = malloc(sizeof(*script) + len)))
        return;
    script->hash = hash;
    script->epoch = cache->epoch;
    script->len = len;
    memcpy(script->body, body, len);
    sha_hex(body, len, script->sha);
    LIST_INSERT_HEAD(&cache->by_body[hash % BUCKETS], script, by_body);
    LIST_INSERT_HEAD(&cache->by_sha[sha_bucket(script->sha)], script, by_sha);
    TAILQ_INSERT_HEAD(&cache->uses, script, use);
    cache->bytes += sizeof(*script) + len;
    drop_least_used(cache);
}

static struct script *find_sha(struct script_cache *cache, const uint8_t *sha, size_t len)
{
    char lower[SHA_HEX + 1];
    struct script *script;

    if (len != SHA_HEX)
        return NULL;
    for (size_t i = 0; i < len; i++)
        lower[i] = (char)(sha[i] >= 'A' && sha[i] <= 'F' ? sha[i] + 32 : sha[i]);
    lower[SHA_HEX] = 0;
    LIST_FOREACH(script, &cache->by_sha[sha_bucket(lower)], by_sha)
    if (!memcmp(script->sha, lower, SHA_HEX))
        return script;
    return NULL;
}

/* The call with EVAL and the body in place of EVALSHA and the digest; `before`: what was answered NOSCRIPT, or NULL. */
static void send_as_eval(struct client *client, struct lane *lane, const struct request *before, const uint8_t *command,
                         size_t len, const struct script *script)
{
    struct request_args args;
    const uint8_t *name, *sha;
    size_t name_len, sha_len;
    char head[96];
    uint32_t argc;

    request_args_start(&args, command, len);
    argc = args.left;
    request_args_next(&args, &name, &name_len);
    request_args_next(&args, &sha, &sha_len);
    bool read_only = name_len > strlen("EVALSHA");
    int n = snprintf(head, sizeof(head), "*%u\r\n$%u\r\n%s\r\n$%zu\r\n", argc, read_only ? 7U : 4U,
                     read_only ? "EVAL_RO" : "EVAL", script->len);
    if (before)
        client_send_again(client, lane, before, REQUEST_PLAIN, head, (size_t)n);
    else
        client_send(client, lane, REQUEST_PLAIN, head, (size_t)n);
    lane_send_more(lane, script->body, script->len);
    /* The digest's own line end, and the other arguments as they came. */
    lane_send_more(lane, sha + sha_len, len - (size_t)(sha + sha_len - command));
    count(lane->pool->worker, scripts_healed);
}

static void keep_call(struct client *client, const struct call *call)
{
    struct block *copy = block_take(&client->worker->loop.pool, call->len);

    memcpy(copy->data, call->bytes, call->len);
    copy->end = (uint32_t)call->len;
    if (client->kept_calls_tail)
        client->kept_calls_tail->next = copy;
    else
        client->kept_calls = copy;
    client->kept_calls_tail = copy;
}

static struct block *take_kept_call(struct client *client)
{
    struct block *copy = client->kept_calls;

    client->kept_calls = copy->next;
    if (!client->kept_calls)
        client->kept_calls_tail = NULL;
    return copy;
}

void script_on_lost(struct client *client)
{
    if (client->kept_calls)
        block_give(&client->worker->loop.pool, take_kept_call(client));
}

void script_forget(struct client *client)
{
    while (client->kept_calls)
        block_give(&client->worker->loop.pool, take_kept_call(client));
}

static bool send_evalsha(struct client *client, struct lane *lane, const struct call *call)
{
    struct script_cache *cache = client->worker->scripts;
    struct script *script = find_sha(cache, call->sub, call->sub_len);

    if (!script || client->session.tx_open || call->argc < 3)
        return false;
    touch(cache, script);
    if (script->epoch != cache->epoch) {
        send_as_eval(client, lane, NULL, call->bytes, call->len, script);
        script->epoch = cache->epoch;
        return true;
    }
    if (call->len > KEPT_CALL_MAX)
        return false;
    keep_call(client, call);
    client_send(client, lane, REQUEST_SCRIPT, call->bytes, call->len);
    return true;
}

void script_note_flush(struct worker *worker)
{
    atomic_fetch_add(&worker->crew->script_flushes, 1);
}

/* Forgets what was flushed since, by whichever worker's client. */
static void follow_flushes(struct worker *worker)
{
    uint64_t flushes = atomic_load_explicit(&worker->crew->script_flushes, memory_order_relaxed);

    if (worker->scripts->flushes == flushes)
        return;
    worker->scripts->flushes = flushes;
    drop_all(worker->scripts);
}

const uint8_t *script_text(struct worker *worker, const uint8_t *sha, size_t sha_len, size_t *len)
{
    struct script *script = NULL;

    if (worker->scripts) {
        follow_flushes(worker);
        script = find_sha(worker->scripts, sha, sha_len);
    }
    if (!script)
        return NULL;
    touch(worker->scripts, script);
    *len = script->len;
    return script->body;
}

void script_note(struct worker *worker, const uint8_t *text, size_t len)
{
    if (worker->scripts)
        remember(worker->scripts, text, len);
}

bool script_send(struct client *client, struct lane *lane, const struct call *call)
{
    struct script_cache *cache = client->worker->scripts;
    const uint8_t *body;
    size_t len;

    follow_flushes(client->worker);
    switch (call->row->id) {
    case CMD_EVALSHA:
    case CMD_EVALSHA_RO:
        return send_evalsha(client, lane, call);
    case CMD_EVAL:
    case CMD_EVAL_RO:
        if (call->argc >= 3 && !client->session.tx_open)
            remember(cache, call->sub, call->sub_len);
        return false;
    case CMD_SCRIPT_LOAD:
        if (call->argc == 3 && !client->session.tx_open && call_arg(call, 2, &body, &len))
            remember(cache, body, len);
        return false;
    default: /* SCRIPT FLUSH */
        script_note_flush(client->worker);
        return false;
    }
}

bool script_on_reply(struct client *client, struct lane *lane, const struct request *request, const uint8_t *bytes,
                     size_t len, bool last)
{
    static const char noscript[] = "-NOSCRIPT";
    struct script_cache *cache = client->worker->scripts;
    const struct script *script;
    const uint8_t *name, *sha;
    struct request_args args;
    size_t name_len, sha_len;
    struct block *kept;
    bool healed = false;

    if (!last)
        return false;
    follow_flushes(client->worker);
    kept = take_kept_call(client);
    if (!request->begun && len > sizeof(noscript) && !memcmp(bytes, noscript, sizeof(noscript) - 1) &&
        client->inflight == 1 && lane->state == LANE_READY) {
        request_args_start(&args, kept->data, kept->end);
        request_args_next(&args, &name, &name_len);
        request_args_next(&args, &sha, &sha_len);
        script = find_sha(cache, sha, sha_len);
        if (script) {
            send_as_eval(client, lane, request, kept->data, kept->end, script);
            healed = true;
        }
    }
    block_give(&client->worker->loop.pool, kept);
    return healed;
}
