/*
 * The deny cache against slow models of what the scripts do: traces of calls with clocks that differ, delays on the
 * wire, others who charge the same keys, and steps of time onto the very instants at which a denial ends. Whatever the
 * cache serves, the model must deny at that instant; then decisions with and without the cache are the same, as a
 * denial changes nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "limiter/deny_cache.h"

enum { KEYS = 3, LOG_MAX = 4096, TRACES = 400, STEPS = 300 };

/* Of one key. Times are the backend's microseconds. */
struct state {
    int64_t tat_ns;
    int64_t count, end_us;
    int64_t start_ms, current, previous;
    int64_t at_us[LOG_MAX], costs[LOG_MAX];
    size_t n;
};

struct world {
    enum deny_algorithm algorithm;
    uint64_t random;
    int64_t now_us;   /* the proxy's clock */
    int64_t rate_ppm; /* of the backend's clock against it */
    struct state states[KEYS];
    int64_t limit, span[2];
    int64_t ends_us[KEYS]; /* when, by the proxy's clock, the last denial should be over */
    struct deny_cache *cache;
    unsigned served, asked;
};

static int64_t below(struct world *world, int64_t n)
{
    world->random = world->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)((world->random >> 33) % (uint64_t)n);
}

static int64_t backend_us(const struct world *world, int64_t at_us)
{
    return INT64_C(1700000000000000) + at_us + at_us * world->rate_ppm / 1000000;
}

static int64_t up(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit;
}

/* Each tells in how many of its own units a cost fits (0: now), the microsecond before which it does not, and charges.
 */
static int64_t gcra_wait_ns(const struct state *state, int64_t limit, int64_t interval_ns, int64_t cost, int64_t us)
{
    int64_t now_ns = us * 1000, tat = state->tat_ns > now_ns ? state->tat_ns : now_ns;
    int64_t early = tat + (cost - limit) * interval_ns - now_ns;

    return early > 0 ? early : 0;
}

static bool slide_fits(const struct state *state, int64_t limit, int64_t window, int64_t cost, int64_t now_ms)
{
    int64_t start = now_ms - now_ms % window, current = 0, previous = 0, e = now_ms % window;

    if (state->start_ms >= start) {
        e = now_ms > state->start_ms ? now_ms - state->start_ms : 0;
        current = state->current, previous = state->previous;
    } else if (state->start_ms >= start - window) {
        previous = state->current;
    }
    return previous * (window - e) / window + current + cost <= limit;
}

static void slide_charge(struct state *state, int64_t window, int64_t cost, int64_t now_ms)
{
    int64_t start = now_ms - now_ms % window;

    if (state->start_ms < start) {
        state->previous = state->start_ms >= start - window ? state->current : 0;
        state->current = 0;
        state->start_ms = start;
    }
    state->current += cost;
}

static bool log_fits(const struct state *state, int64_t limit, int64_t window_us, int64_t cost, int64_t us)
{
    int64_t used = cost;

    for (size_t i = 0; i < state->n; i++)
        used += state->at_us[i] > us - window_us ? state->costs[i] : 0;
    return used <= limit;
}

static void log_charge(struct state *state, int64_t window_us, int64_t cost, int64_t us)
{
    size_t kept = 0;

    for (size_t i = 0; i < state->n; i++) {
        if (state->at_us[i] > us - window_us) {
            state->at_us[kept] = state->at_us[i];
            state->costs[kept++] = state->costs[i];
        }
    }
    assert_true(kept < LOG_MAX);
    state->at_us[kept] = us;
    state->costs[kept] = cost;
    state->n = kept + 1;
}

static bool fits(const struct world *world, const struct state *state, const struct deny_call *call, int64_t us)
{
    switch (world->algorithm) {
    case DENY_GCRA:
    case DENY_THROTTLE:
        return gcra_wait_ns(state, call->limit, call->span, call->cost, us) == 0;
    case DENY_WINDOW:
        return (state->end_us > us ? state->count : 0) + call->cost <= call->limit;
    case DENY_SLIDE:
        return slide_fits(state, call->limit, call->span / 1000, call->cost, us / 1000);
    case DENY_SLIDE_LOG:
        return log_fits(state, call->limit, call->span, call->cost, us);
    }
    return false;
}

/* In the units of the reply, found by looking at one instant after the other where there is no formula. */
static int64_t retry_of(const struct world *world, const struct state *state, const struct deny_call *call, int64_t us)
{
    int64_t retry = 0, latest_us = 0;

    switch (world->algorithm) {
    case DENY_GCRA:
        return up(gcra_wait_ns(state, call->limit, call->span, call->cost, us), 1000000);
    case DENY_THROTTLE:
        return up(gcra_wait_ns(state, call->limit, call->span, call->cost, us), 1000000000);
    case DENY_WINDOW:
        return up(state->end_us - us, 1000);
    case DENY_SLIDE:
        while (!slide_fits(state, call->limit, call->span / 1000, call->cost, us / 1000 + retry))
            retry++;
        return retry;
    case DENY_SLIDE_LOG:
        for (size_t i = 0; i < state->n && latest_us == 0; i++)
            if (log_fits(state, call->limit, call->span, call->cost, state->at_us[i] + call->span))
                latest_us = state->at_us[i] + call->span;
        return up(latest_us - us, 1000);
    }
    return 0;
}

static void charge(const struct world *world, struct state *state, const struct deny_call *call, int64_t us)
{
    int64_t now_ns = us * 1000;

    switch (world->algorithm) {
    case DENY_GCRA:
    case DENY_THROTTLE:
        state->tat_ns = (state->tat_ns > now_ns ? state->tat_ns : now_ns) + call->cost * call->span;
        return;
    case DENY_WINDOW:
        state->count = (state->end_us > us ? state->count : 0) + call->cost;
        state->end_us = state->end_us > us ? state->end_us : us + call->span;
        return;
    case DENY_SLIDE:
        slide_charge(state, call->span / 1000, call->cost, us / 1000);
        return;
    case DENY_SLIDE_LOG:
        log_charge(state, call->span, call->cost, us);
        return;
    }
}

/* What the script does at that instant, and its reply as far as the cache looks at it. */
static bool backend_call(const struct world *world, struct state *state, const struct deny_call *call, int64_t us,
                         int64_t reply[LIMIT_FIELDS])
{
    bool allowed = fits(world, state, call, us), never = call->cost > call->limit;
    int64_t retry = allowed || never ? -1 : retry_of(world, state, call, us);

    memset(reply, 0, LIMIT_FIELDS * sizeof *reply);
    if (allowed)
        charge(world, state, call, us);
    if (world->algorithm == DENY_THROTTLE) {
        reply[THROTTLE_LIMITED] = !allowed;
        reply[THROTTLE_RETRY_S] = retry;
        return allowed;
    }
    reply[LIMIT_ALLOWED] = allowed;
    reply[LIMIT_RETRY_MS] = never ? LIMIT_RETRY_NEVER : retry;
    reply[LIMIT_CHARGED] = allowed ? call->cost : 0;
    reply[LIMIT_REASON] = never ? REASON_COST : allowed ? REASON_OK : REASON_LIMITED;
    return allowed;
}

static struct deny_call any_call(struct world *world, bool two_spans)
{
    static const char *const names[KEYS] = {"rl:a", "rl:b", "rl:c"};
    struct deny_call call = {.epoch = 1, .key_len = 4, .algorithm = world->algorithm, .limit = world->limit};
    int64_t key = below(world, KEYS);

    call.key = (const uint8_t *)names[key];
    call.span = world->span[two_spans && below(world, 8) == 0];
    call.cost = 1 + (below(world, 3) == 0 ? below(world, world->limit + 1) : 0);
    return call;
}

static int64_t unit_us(const struct world *world)
{
    return world->algorithm == DENY_THROTTLE ? 1000000 : 1000;
}

/* Whoever waits as long as was told is not told to wait again, unless others come; a larger cost may be, when it
 * slides. */
static void check_wait(const struct world *world, const struct state *state, const struct deny_call *call,
                       const int64_t *reply)
{
    bool throttle = world->algorithm == DENY_THROTTLE;
    int64_t retry = reply[throttle ? THROTTLE_RETRY_S : LIMIT_RETRY_MS];
    int64_t then_us = world->now_us + retry * unit_us(world);

    assert_true(retry >= 1);
    then_us += then_us / 500 + 1; /* the backend's clock may be slower */
    assert_true(fits(world, state, call, backend_us(world, then_us)));
}

static void one_call(struct world *world, const struct deny_call *call, bool alone)
{
    int64_t reply[LIMIT_FIELDS], sent_us = world->now_us;
    int key = call->key[3] - 'a';
    struct state *state = &world->states[key];

    if (deny_cache_find(world->cache, call, sent_us, reply) > 0) {
        world->served++;
        assert_false(fits(world, state, call, backend_us(world, sent_us)));
        if (alone && call->cost == 1)
            check_wait(world, state, call, reply);
        return;
    }
    world->asked++;
    world->now_us += below(world, 3000);
    bool allowed = backend_call(world, state, call, backend_us(world, world->now_us), reply);
    world->now_us += below(world, 3000);
    deny_cache_learn(world->cache, call, reply, sent_us, world->now_us);
    if (!allowed && call->cost <= call->limit)
        world->ends_us[key] =
            sent_us +
            reply[world->algorithm == DENY_THROTTLE ? (int)THROTTLE_RETRY_S : (int)LIMIT_RETRY_MS] * unit_us(world);
}

/* Somebody else charges, past this cache. */
static void other_call(struct world *world)
{
    struct deny_call call = any_call(world, false);
    int64_t reply[LIMIT_FIELDS];

    backend_call(world, &world->states[call.key[3] - 'a'], &call, backend_us(world, world->now_us), reply);
}

/* DEL through this process, which says so before and after. */
static void delete_key(struct world *world)
{
    struct deny_call call = any_call(world, false);

    deny_cache_forget(world->cache, call.key, call.key_len, world->now_us);
    world->now_us += below(world, 3000);
    memset(&world->states[call.key[3] - 'a'], 0, sizeof *world->states);
    world->now_us += below(world, 3000);
    deny_cache_forget(world->cache, call.key, call.key_len, world->now_us);
    world->now_us++;
}

static void advance(struct world *world)
{
    static const int64_t nudges_us[] = {-2000, -1001, -1000, -999, -1, 0, 1};
    int64_t shortest_us = world->algorithm == DENY_THROTTLE ? 1000 : 50;
    int64_t end_us = world->ends_us[below(world, KEYS)];

    if (below(world, 3) == 0 && end_us > world->now_us) {
        end_us += nudges_us[below(world, 7)] - (below(world, 2) ? (end_us - world->now_us) / 1000 : 0);
        world->now_us = end_us > world->now_us ? end_us : world->now_us;
        return;
    }
    world->now_us += below(world, 2) ? below(world, 50) : below(world, shortest_us * (1 + below(world, 400)));
}

struct trace {
    enum deny_algorithm algorithm;
    bool others, deletes, two_spans;
};

static void run(struct world *world, const struct trace *trace)
{
    for (int step = 0; step < STEPS; step++) {
        struct deny_call call = any_call(world, trace->two_spans);

        if (trace->others && below(world, 6) == 0)
            other_call(world);
        if (trace->deletes && below(world, 12) == 0)
            delete_key(world);
        one_call(world, &call, !trace->others && !trace->two_spans);
        advance(world);
    }
}

static void traces(struct trace trace, unsigned least_served)
{
    unsigned served = 0;

    for (int i = 0; i < TRACES; i++) {
        struct world *world = calloc(1, sizeof *world);
        assert_non_null(world);
        world->algorithm = trace.algorithm;
        world->random = (uint64_t)i * 977 + trace.algorithm;
        below(world, 2);
        world->rate_ppm = (int64_t[]){0, 999, -999, 500}[i % 4];
        world->limit = 1 + below(world, 12);
        bool gcra = trace.algorithm == DENY_GCRA || trace.algorithm == DENY_THROTTLE;
        int64_t ms = trace.algorithm == DENY_THROTTLE ? 400 + below(world, 5000) : 3 + below(world, 700);
        world->span[0] = ms * (gcra ? 1000000 : 1000) + (gcra ? below(world, 1000000) : 0);
        world->span[1] = world->span[0] / 2 / 1000 * 1000;
        world->cache = deny_cache_new(1 << 16, (uint64_t)i);
        assert_non_null(world->cache);
        run(world, &trace);
        served += world->served;
        deny_cache_free(world->cache);
        free(world);
    }
    if (served < least_served)
        fail_msg("only %u denials were served", served);
}

#define TEST(name, algorithm_)                                                                                         \
    static void test_##name(void **state)                                                                              \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        traces((struct trace){.algorithm = algorithm_}, TRACES *STEPS / 20);                                           \
        traces((struct trace){.algorithm = algorithm_, .others = true, .deletes = true}, TRACES *STEPS / 40);          \
    }

TEST(gcra, DENY_GCRA)
TEST(window, DENY_WINDOW)
TEST(slide, DENY_SLIDE)
TEST(slide_log, DENY_SLIDE_LOG)
TEST(throttle, DENY_THROTTLE)

/* A call with another window on the same key can lower what the first one counts. */
static void test_two_windows(void **state)
{
    (void)state;
    traces((struct trace){.algorithm = DENY_SLIDE, .two_spans = true}, 1000);
    traces((struct trace){.algorithm = DENY_SLIDE_LOG, .two_spans = true, .others = true}, 1000);
    traces((struct trace){.algorithm = DENY_WINDOW, .two_spans = true}, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gcra),      cmocka_unit_test(test_window),   cmocka_unit_test(test_slide),
        cmocka_unit_test(test_slide_log), cmocka_unit_test(test_throttle), cmocka_unit_test(test_two_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
