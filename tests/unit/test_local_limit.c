/* Limits counted here: replies one by one, and over random traces the bound that no algorithm may pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "limiter/local_limit.h"

enum { NOW = 5000000 };

static struct local_limit *local;
static int64_t reply[LIMIT_FIELDS];

static int open_local(void **state)
{
    (void)state;
    local = local_limit_new(1 << 20, 3);
    return local ? 0 : 1;
}

static int close_local(void **state)
{
    (void)state;
    local_limit_free(local);
    return 0;
}

/* 4 calls at once, one more each 100 ms. */
static struct local_call bucket(const char *key)
{
    return (struct local_call){.key = (const uint8_t *)key,
                               .key_len = strlen(key),
                               .algorithm = LOCAL_GCRA,
                               .limit = 4,
                               .span = 100000000,
                               .cost = 1,
                               .share_percent = 100};
}

/* 4 calls in 100 ms. */
static struct local_call window(const char *key)
{
    struct local_call call = bucket(key);

    call.algorithm = LOCAL_WINDOW;
    call.span = 100000;
    return call;
}

static bool allowed(const struct local_call *call, int64_t now_us)
{
    memset(reply, 0x77, sizeof reply);
    local_limit_call(local, call, now_us, reply);
    return reply[LIMIT_ALLOWED] == 1;
}

static void replies(const struct local_call *call, int64_t now_us, const int64_t want[LIMIT_FIELDS])
{
    allowed(call, now_us);
    for (int i = 0; i < LIMIT_FIELDS; i++)
        assert_int_equal(reply[i], want[i]);
}

static void test_gcra(void **state)
{
    struct local_call call = bucket("k");

    (void)state;
    replies(&call, NOW, (int64_t[]){1, 4, 3, -1, 100, 100, 1, 9});
    call.cost = 3;
    replies(&call, NOW, (int64_t[]){1, 4, 0, -1, 400, 100, 3, 9});
    call.cost = 2;
    replies(&call, NOW, (int64_t[]){0, 4, 0, 200, 400, 100, 0, 9});
    replies(&call, NOW + 199999, (int64_t[]){0, 4, 1, 1, 201, 1, 0, 9});
    replies(&call, NOW + 200000, (int64_t[]){1, 4, 0, -1, 400, 100, 2, 9});
    call.cost = 5;
    replies(&call, NOW + 600000, (int64_t[]){0, 4, 4, -2, 0, 0, 0, 3});
    call.cost = 4;
    replies(&call, NOW + 600000, (int64_t[]){1, 4, 0, -1, 400, 100, 4, 9});
}

static void test_window(void **state)
{
    struct local_call call = window("k");

    (void)state;
    replies(&call, NOW, (int64_t[]){1, 4, 3, -1, 100, 100, 1, 9});
    call.cost = 4;
    replies(&call, NOW + 50000, (int64_t[]){0, 4, 3, 50, 50, 50, 0, 9});
    call.cost = 3;
    replies(&call, NOW + 50001, (int64_t[]){1, 4, 0, -1, 50, 50, 3, 9});
    call.cost = 1;
    replies(&call, NOW + 99999, (int64_t[]){0, 4, 0, 1, 1, 1, 0, 9});
    replies(&call, NOW + 100000, (int64_t[]){1, 4, 3, -1, 100, 100, 1, 9});
    call.cost = 5;
    replies(&call, NOW + 100000, (int64_t[]){0, 4, 3, -2, 100, 100, 0, 3});
}

static void test_modes(void **state)
{
    struct local_call calls[] = {bucket("k"), window("k")};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct local_call *call = &calls[i];
        call->mode = LOCAL_PEEK;
        replies(call, NOW, (int64_t[]){1, 4, 4, -1, 0, 0, 0, 9});
        assert_int_equal(local_limit_keys(local), i);
        call->mode = LOCAL_TAKE;
        assert_true(allowed(call, NOW));
        call->mode = LOCAL_PARTIAL;
        call->cost = 9;
        assert_true(allowed(call, NOW));
        assert_int_equal(reply[LIMIT_CHARGED], 3);
        assert_false(allowed(call, NOW));
        assert_int_equal(reply[LIMIT_RETRY_MS], 100);
        call->mode = LOCAL_PEEK;
        call->cost = 1;
        assert_false(allowed(call, NOW));
    }
}

/* A share of the limit at the same share of the rate; never less than one call. */
static void test_share(void **state)
{
    struct local_call call = bucket("k"), counted = window("w");

    (void)state;
    call.share_percent = counted.share_percent = 50;
    replies(&call, NOW, (int64_t[]){1, 2, 1, -1, 200, 200, 1, 9});
    replies(&counted, NOW, (int64_t[]){1, 2, 1, -1, 100, 100, 1, 9});
    call.cost = counted.cost = 3; /* fits the limit, but not the share: the backend may be back by then */
    replies(&call, NOW + 200000, (int64_t[]){0, 2, 2, 400, 0, 0, 0, 9});
    replies(&counted, NOW + 100000, (int64_t[]){0, 2, 2, 100, 0, 0, 0, 9});
    call = bucket("third"); /* 3.0303 calls a second: an interval is rounded up, or the sum of shares could be above */
    call.share_percent = 33;
    call.limit = 100;
    call.cost = 33;
    replies(&call, NOW, (int64_t[]){1, 33, 0, -1, 10001, 304, 33, 9});
    call = bucket("one");
    call.share_percent = 1;
    replies(&call, NOW, (int64_t[]){1, 1, 0, -1, 10000, 10000, 1, 9});
}

static void test_keys_apart(void **state)
{
    struct local_call a = window("a"), b = window("b"), c = bucket("a");

    (void)state;
    a.cost = b.cost = c.cost = 4;
    assert_true(allowed(&a, NOW));
    assert_true(allowed(&b, NOW));
    assert_true(allowed(&c, NOW));
    assert_false(allowed(&a, NOW));
    a.key_len = 0;
    assert_true(allowed(&a, NOW));
    assert_int_equal(local_limit_keys(local), 4);
}

/* Full of keys that count, a new one is denied; what no longer counts makes room. No limit is ever passed for that. */
static void test_bounded(void **state)
{
    struct local_limit *whole = local;
    char key[32];
    size_t keys = 0;

    (void)state;
    local = local_limit_new(2048, 3);
    assert_non_null(local);
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "key-%03d", i);
        struct local_call call = window(key);
        call.cost = 4;
        keys += allowed(&call, NOW);
    }
    assert_in_range(keys, 15, 30);
    assert_int_equal(local_limit_keys(local), keys);
    assert_int_equal(reply[LIMIT_REASON], REASON_LOCAL);
    assert_int_equal(reply[LIMIT_RETRY_MS], 100);
    struct local_call first = window("key-000"), fresh = window("fresh");
    assert_false(allowed(&first, NOW));
    assert_false(allowed(&fresh, NOW + 99999));
    assert_true(allowed(&fresh, NOW + 100000));
    assert_true(local_limit_keys(local) <= keys);
    local_limit_free(local);
    local_limit_free(NULL);
    local = whole;
}

static void test_wild_numbers(void **state)
{
    struct local_call call = bucket("k");

    (void)state;
    call.limit = call.span = call.cost = INT64_MAX / 8;
    call.share_percent = 1;
    assert_false(allowed(&call, NOW));
    call.cost = 1;
    assert_true(allowed(&call, NOW));
    call = window("k");
    call.limit = call.span = call.cost = INT64_MAX / 8;
    assert_true(allowed(&call, NOW));
    assert_false(allowed(&call, NOW));
}

static uint64_t random_state;

static int64_t below(int64_t n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)((random_state >> 33) % (uint64_t)n);
}

/* What was admitted from each admission on, within any time after it: at most limit + time / interval of a GCRA, and in
 * one window's length at most twice the limit. Who waits as long as told is admitted; a millisecond less is too early.
 */
static void trace(enum local_algorithm algorithm)
{
    enum { STEPS = 400 };
    int64_t at_us[STEPS] = {0}, costs[STEPS] = {0}, now_us = NOW;
    struct local_call call = algorithm == LOCAL_GCRA ? bucket("k") : window("k");
    size_t n = 0;

    call.limit = 1 + below(9);
    call.span = algorithm == LOCAL_GCRA ? 1 + below(30000000) : 1000 + below(30000);
    for (int i = 0; i < STEPS; i++) {
        call.cost = 1 + below(call.limit);
        if (allowed(&call, now_us)) {
            at_us[n] = now_us;
            costs[n++] = call.cost;
        } else if (below(2)) {
            int64_t retry_us = reply[LIMIT_RETRY_MS] * 1000;
            assert_true(retry_us < 1001 || !allowed(&call, now_us + retry_us - 1001));
            now_us += retry_us;
            struct local_call peek = call;
            peek.mode = LOCAL_PEEK;
            assert_true(allowed(&peek, now_us));
        }
        now_us += below(2) ? 0 : below(20000);
    }
    for (size_t i = 0; i < n; i++) {
        int64_t sum = 0;
        for (size_t j = i; j < n; j++) {
            int64_t passed_us = at_us[j] - at_us[i];
            sum += costs[j];
            if (algorithm == LOCAL_GCRA)
                assert_true(sum <= call.limit + passed_us * 1000 / call.span);
            else if (passed_us < call.span)
                assert_true(sum <= 2 * call.limit);
        }
    }
}

static void test_bounds(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        random_state = (uint64_t)i;
        close_local(NULL);
        assert_int_equal(open_local(NULL), 0);
        trace(i % 2 ? LOCAL_GCRA : LOCAL_WINDOW);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_local, close_local)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_gcra),       TEST(test_window),  TEST(test_modes),        TEST(test_share),
        TEST(test_keys_apart), TEST(test_bounded), TEST(test_wild_numbers), TEST(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
