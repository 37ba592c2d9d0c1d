#include "proxy/flow/limiter.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "limiter/deny_cache.h"
#include "limiter/lease_book.h"
#include "limiter/local_limit.h"
#include "protocol/command.h"
#include "protocol/reply.h"
#include "protocol/resp.h"
#include "proxy/flow/lease_notes.h"
#include "proxy/flow/limit_kept.h"
#include "proxy/flow/pool.h"
#include "proxy/flow/worker.h"
#include "proxy/health/backend.h"
#include "proxy/net/log.h"
#include "proxy/net/loop.h"

static void make_cache(struct limiter *limiter)
{
    const struct limiter_settings *settings = &limiter->worker->settings->limiter;

    if (settings->caches && !limiter->denials)
        limiter->denials = deny_cache_new(settings->memory, worker_random(limiter->worker));
    if (settings->caches)
        return;
    deny_cache_free(limiter->denials);
    limiter->denials = NULL;
}

struct limiter *limiter_new(struct worker *worker)
{
    struct limiter *limiter = calloc(1, sizeof(*limiter));

    if (!limiter)
        return NULL;
    limiter->worker = worker;
    SLIST_INIT(&limiter->spare);
    TAILQ_INIT(&limiter->waits);
    make_cache(limiter);
    return limiter;
}

void limiter_free(struct limiter *limiter)
{
    if (!limiter)
        return;
    limit_kept_free_spare(limiter);
    deny_cache_free(limiter->denials);
    local_limit_free(limiter->local);
    lease_notes_finish(limiter);
    free(limiter->key);
    free(limiter->out);
    free(limiter);
}

void limiter_new_epoch(struct limiter *limiter)
{
    limiter->epoch++;
    limiter->increx = INCREX_UNKNOWN;
    memset(limiter->loaded, 0, sizeof(limiter->loaded));
}

void limiter_reconfigure(struct limiter *limiter)
{
    make_cache(limiter);
    limit_notes_move(limiter);
    if (limiter->denials)
        deny_cache_clear(limiter->denials, clock_now_us());
}

static bool fail(struct limiter *limiter, const char *text)
{
    limiter->error = text;
    return false;
}

/* At least `len` bytes at *room; what was there is lost. */
static bool make_room(uint8_t **room, size_t *cap, size_t len)
{
    if (len <= *cap)
        return true;
    free(*room);
    *cap = 2 * len;
    *room = malloc(*cap);
    if (!*room)
        *cap = 0;
    return *room;
}

bool limiter_key(struct limiter *limiter, const struct rule *rule, const uint8_t *subject, size_t len,
                 struct limit_slice *key)
{
    if (!make_room(&limiter->key, &limiter->key_cap, rule->prefix_len + len + 1))
        return false;
    memcpy(limiter->key, rule->prefix, rule->prefix_len);
    if (len)
        memcpy(limiter->key + rule->prefix_len, subject, len);
    *key = (struct limit_slice){limiter->key, rule->prefix_len + len};
    return true;
}

/* LIM.TRY: what it stands for takes its place in args. */
static bool expand(struct limiter *limiter, uint32_t *argc)
{
    const struct rule_table *rules = limiter->worker->settings->rules;
    const uint8_t *argv[RULE_ARGS_MAX];
    size_t lens[RULE_ARGS_MAX];
    uint32_t n = *argc < RULE_ARGS_MAX ? *argc : RULE_ARGS_MAX;

    for (uint32_t i = 0; i < n; i++) {
        argv[i] = limiter->args[i].bytes;
        lens[i] = limiter->args[i].len;
    }
    if (n > 2 && !make_room(&limiter->key, &limiter->key_cap, rule_key_room(rules, lens[2]) + 1))
        return fail(limiter, "ERR out of memory");
    bool good = rule_expand(rules, argv, lens, n, limiter->key, &limiter->expanded);
    limiter->rule = limiter->expanded.rule;
    if (!good)
        return fail(limiter, limiter->expanded.error);
    *argc = (uint32_t)limiter->expanded.argc;
    for (uint32_t i = 0; i < *argc; i++)
        limiter->args[i] = (struct limit_slice){limiter->expanded.argv[i], limiter->expanded.lens[i]};
    limiter->row = command_find(limiter->args[0].bytes, limiter->args[0].len, NULL, 0);
    return true;
}

bool limiter_parse(struct limiter *limiter, const struct command *row, const uint8_t *bytes, size_t len)
{
    struct request_args args;
    uint32_t argc, n = 0;

    request_args_start(&args, bytes, len);
    argc = args.left;
    while (n < LIMIT_ARGS_MAX && request_args_next(&args, &limiter->args[n].bytes, &limiter->args[n].len))
        n++;
    limiter->row = row;
    limiter->rule = NULL;
    limiter->adoption = NULL;
    if (row->id == CMD_LIM_TRY && !expand(limiter, &argc))
        return false;
    if (limit_call_parse(&limiter->call, limiter->row, limiter->args, argc, &limiter->worker->settings->limiter.calls))
        return true;
    return fail(limiter, limiter->call.error);
}

/* Forgets what was flushed since, by whichever worker's client. */
static void follow_flushes(struct limiter *limiter)
{
    uint64_t flushes = atomic_load_explicit(&limiter->worker->crew->script_flushes, memory_order_relaxed);

    if (limiter->flushes == flushes)
        return;
    limiter->flushes = flushes;
    memset(limiter->loaded, 0, sizeof(limiter->loaded));
}

enum limit_form limiter_form(struct limiter *limiter)
{
    bool *loaded = &limiter->loaded[limiter->call.script];

    follow_flushes(limiter);
    if (*loaded)
        return LIMIT_EVALSHA;
    *loaded = true;
    return LIMIT_EVAL;
}

size_t limiter_encode(struct limiter *limiter, const struct backend *backend, enum limit_form form, int64_t deadline_us)
{
    /* What names no key looks at any. */
    enum limit_dialect dialect = limiter->call.key_count ? backend->dialect : DIALECT_PLAIN;
    size_t len = limit_call_encode(&limiter->call, dialect, form, deadline_us, NULL);

    if (!make_room(&limiter->out, &limiter->out_cap, len))
        end_out_of_memory(len);
    return limit_call_encode(&limiter->call, dialect, form, deadline_us, limiter->out);
}

int64_t limiter_deadline_us(struct limiter *limiter, const struct backend *backend)
{
    uint64_t now_ms = loop_now_ms(&limiter->worker->loop);

    return fence_deadline_us(&backend->fence, now_ms, backend->command_timeout_ms);
}

enum rule_on_down limiter_on_down(const struct limiter *limiter)
{
    return limiter->rule ? limiter->rule->on_backend_down : limiter->worker->settings->limiter.on_backend_down;
}

unsigned limiter_local_share(const struct limiter *limiter)
{
    const struct settings *settings = limiter->worker->settings;
    unsigned share = limiter->rule ? limiter->rule->local_share : settings->limiter.local_share;

    return share > settings->workers ? share / settings->workers : 1;
}

bool limiter_may_cache(const struct limiter *limiter)
{
    return limiter->denials && limiter->rule && limiter->rule->deny_cache;
}

struct local_limit *limiter_local(struct limiter *limiter)
{
    if (!limiter->local)
        limiter->local = local_limit_new(limiter->worker->settings->limiter.memory, worker_random(limiter->worker));
    return limiter->local;
}

struct lease_book *limiter_leases(struct limiter *limiter)
{
    if (!limiter->leases)
        limiter->leases = lease_book_new(limiter->worker->settings->limiter.memory);
    return limiter->leases;
}

void limiter_note_lowered(struct limiter *limiter)
{
    if (limiter->worker->settings->limiter.caches)
        atomic_fetch_add(&limiter->worker->crew->limits_lowered, 1);
}

uint64_t limiter_deny_epoch(uint64_t epoch, const struct pool *pool)
{
    return epoch << 32 | pool->serial;
}

struct deny_cache *limiter_denials(struct limiter *limiter)
{
    uint64_t lowered;

    if (!limiter->denials)
        return NULL;
    lowered = atomic_load(&limiter->worker->crew->limits_lowered);
    if (lowered != limiter->lowered) {
        limiter->lowered = lowered;
        deny_cache_clear(limiter->denials, clock_now_us());
    }
    return limiter->denials;
}
