/* SEM.ACQUIRE, RENEW, RELEASE, CHECK, COUNT, HOLDERS and REVOKE. */
#include "limiter/grammar.h"
#include "protocol/command.h"

enum { SEMAPHORE = COMPANION_NONE | COMPANION_META };

bool grammar_lease(struct grammar *g, int64_t *lease_us)
{
    int64_t lease_ms = 0;

    if (!grammar_integer(g, INT64_MIN, INT64_MAX, &lease_ms))
        return false;
    if (lease_ms < 1)
        return grammar_fail(g, limit_text_semaphore);
    if (lease_ms > LIMIT_LONGEST_MS)
        return grammar_fail(g, limit_text_range);
    *lease_us = lease_ms * 1000;
    return true;
}

bool grammar_semaphore(struct grammar *g, int64_t *max, int64_t *lease_us, struct limit_slice *token)
{
    if (!grammar_integer(g, INT64_MIN, INT64_MAX, max) || !grammar_lease(g, lease_us))
        return false;
    if (*max < 1)
        return grammar_fail(g, limit_text_semaphore);
    if (*max > LIMIT_NEVER_US / 2)
        return grammar_fail(g, limit_text_range);
    return grammar_token(g, token);
}

struct acquire {
    int64_t max, lease_us, weight;
    struct limit_slice token;
    bool slots, has_cost, has_wait;
};

static bool acquire_option(struct grammar *g, struct acquire *acquire)
{
    bool *seen;

    if (grammar_word(g, "COST"))
        seen = &acquire->has_cost;
    else if (grammar_word(g, "WAIT"))
        seen = &acquire->has_wait;
    else if (grammar_word(g, "FIFO"))
        seen = &g->call->fair;
    else if (grammar_word(g, "SLOTS"))
        seen = &acquire->slots;
    else
        return grammar_fail(g, limit_text_syntax);
    if (*seen)
        return grammar_fail(g, limit_text_syntax);
    *seen = true;
    if (seen == &acquire->has_cost)
        return grammar_integer(g, 1, LIMIT_TOKENS_MAX, &acquire->weight);
    if (seen == &acquire->has_wait)
        return grammar_integer(g, 0, LIMIT_LONGEST_MS, &g->call->wait_ms);
    return true;
}

static bool parse_acquire(struct grammar *g)
{
    struct acquire acquire = {.weight = 1};
    struct limit_call *call = g->call;

    if (!grammar_semaphore(g, &acquire.max, &acquire.lease_us, &acquire.token))
        return false;
    while (g->at < g->argc) {
        if (!acquire_option(g, &acquire))
            return false;
    }
    if (acquire.slots && (acquire.max > LIMIT_TOKENS_MAX || acquire.weight != 1))
        return grammar_fail(g, limit_text_range);
    call->script = call->fair ? SCRIPT_sem_acquire_fifo : SCRIPT_sem_acquire;
    call->repeatable = true;
    grammar_key(g, &g->args[1],
                SEMAPHORE | (call->fair ? COMPANION_QUEUE | COMPANION_WAIT : 0) |
                    (g->settings->reservations ? COMPANION_HELD : 0));
    grammar_put_number(g, acquire.max);
    grammar_put_number(g, acquire.lease_us);
    grammar_put_bytes(g, &acquire.token);
    grammar_put_number(g, acquire.weight);
    grammar_put(g, acquire.slots ? "slots" : "plain");
    if (call->fair)
        grammar_put_number(g, (int64_t)g->settings->ticket_ms * 1000);
    return true;
}

void limit_call_leave(struct limit_call *call)
{
    struct limit_argument token = call->arguments[2], weight = call->arguments[3];

    call->script = SCRIPT_sem_leave;
    call->keys[0].kinds = COMPANION_QUEUE | COMPANION_WAIT;
    call->arguments[0] = token;
    call->arguments[1] = weight;
    call->argument_count = 2;
}

void limit_call_give_back(struct limit_call *call, int64_t fence)
{
    struct limit_argument lease_us = call->arguments[1], token = call->arguments[2];

    call->script = SCRIPT_sem_give_back;
    call->keys[0].kinds = SEMAPHORE;
    call->arguments[0] = token;
    call->arguments[1] = (struct limit_argument){.number = fence + lease_us.number, .is_number = true};
    call->argument_count = 2;
}

/* [fence], the last argument. */
static bool optional_fence(struct grammar *g)
{
    int64_t fence = 0;

    if (g->at == g->argc)
        return true;
    if (g->at + 1 != g->argc)
        return grammar_wrong_number(g);
    if (!grammar_integer(g, 0, LIMIT_NEVER_US, &fence))
        return false;
    grammar_put_number(g, fence);
    return true;
}

static bool parse_renew(struct grammar *g)
{
    struct limit_slice token;
    int64_t lease_us = 0;

    if (!grammar_token(g, &token) || !grammar_lease(g, &lease_us))
        return false;
    g->call->script = SCRIPT_sem_renew;
    grammar_key(g, &g->args[1], SEMAPHORE);
    grammar_put_bytes(g, &token);
    grammar_put_number(g, lease_us);
    return optional_fence(g);
}

static bool parse_check(struct grammar *g)
{
    struct limit_slice token;

    if (!grammar_token(g, &token))
        return false;
    g->call->script = SCRIPT_sem_check;
    grammar_key(g, &g->args[1], SEMAPHORE);
    grammar_put_bytes(g, &token);
    return optional_fence(g);
}

static bool parse_release(struct grammar *g)
{
    struct limit_slice token;

    if (g->argc - 2 > LIMIT_TOKENS_MAX)
        return grammar_wrong_number(g);
    g->call->script = SCRIPT_sem_release;
    grammar_key(g, &g->args[1], SEMAPHORE);
    while (g->at < g->argc) {
        if (!grammar_token(g, &token))
            return false;
        grammar_put_bytes(g, &token);
    }
    return true;
}

static bool parse_revoke(struct grammar *g)
{
    if (!grammar_word(g, "*"))
        return parse_release(g);
    g->call->script = SCRIPT_sem_clear;
    g->call->repeatable = false; /* would take from those who came in between */
    grammar_key(g, &g->args[1], SEMAPHORE);
    return true;
}

static void put_counted(struct grammar *g, const struct limit_slice *key)
{
    grammar_key(g, key, COMPANION_NONE | COMPANION_HELD);
    grammar_key(g, key, COMPANION_WAIT);
}

static bool parse_count(struct grammar *g)
{
    g->call->script = SCRIPT_sem_count;
    put_counted(g, &g->args[1]);
    return true;
}

void limit_call_leases(struct limit_call *call, const struct limit_slice *key, int64_t max)
{
    struct grammar g = {.call = call};

    grammar_start(call);
    call->script = SCRIPT_sem_leases;
    call->repeatable = true;
    put_counted(&g, key);
    grammar_put_number(&g, max);
}

static bool parse_holders(struct grammar *g)
{
    int64_t count = LIMIT_TOKENS_MAX;

    if (grammar_word(g, "COUNT") && !grammar_integer(g, 1, LIMIT_TOKENS_MAX, &count))
        return false;
    g->call->script = SCRIPT_sem_holders;
    grammar_key(g, &g->args[1], SEMAPHORE);
    grammar_put_number(g, count);
    return grammar_end(g);
}

/* Nearly all are safe to repeat: a token is granted, extended or removed once, and the others only look. */
bool parse_sem(struct grammar *g)
{
    g->at = 2;
    g->call->repeatable = true;
    switch (g->row->id) {
    case CMD_SEM_ACQUIRE:
        return parse_acquire(g);
    case CMD_SEM_RENEW:
        return parse_renew(g);
    case CMD_SEM_RELEASE:
        return parse_release(g);
    case CMD_SEM_CHECK:
        return parse_check(g);
    case CMD_SEM_COUNT:
        return parse_count(g);
    case CMD_SEM_HOLDERS:
        return parse_holders(g);
    default:
        return parse_revoke(g);
    }
}
