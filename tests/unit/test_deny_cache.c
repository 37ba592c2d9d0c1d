/* The deny cache entry by entry: what is kept, until when it is served and as which reply, and what drops it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "limiter/deny_cache.h"

enum { SENT = 1000000, HEARD = SENT + 300 };

static struct deny_cache *cache;
static int64_t reply[LIMIT_FIELDS];

static int open_cache(void **state)
{
    (void)state;
    cache = deny_cache_new(1 << 16, 42);
    return cache ? 0 : 1;
}

static int close_cache(void **state)
{
    (void)state;
    deny_cache_free(cache);
    return 0;
}

static struct deny_call call_of(enum deny_algorithm algorithm, const char *key, int64_t cost)
{
    return (struct deny_call){.epoch = 1,
                              .key = (const uint8_t *)key,
                              .key_len = strlen(key),
                              .algorithm = algorithm,
                              .limit = 10,
                              .span = 50000000,
                              .cost = cost};
}

static void learn(const struct deny_call *call, int64_t retry, int64_t sent_us, int64_t heard_us)
{
    const int64_t denial[LIMIT_FIELDS] = {0, 10, 2, retry, 500, 40, 0, REASON_LIMITED};

    deny_cache_learn(cache, call, denial, sent_us, heard_us);
}

static bool served(const struct deny_call *call, int64_t now_us)
{
    memset(reply, 0x77, sizeof reply);
    return deny_cache_find(cache, call, now_us, reply) > 0;
}

static void replied(const int64_t want[LIMIT_FIELDS])
{
    for (int i = 0; i < LIMIT_FIELDS; i++)
        assert_int_equal(reply[i], want[i]);
}

/* 100 ms told: 99 ms for sure, less 0.1%, from when it was sent; times told count from when the reply came. */
static void test_until(void **state)
{
    (void)state;
    struct deny_call call = call_of(DENY_WINDOW, "k", 3);
    assert_false(served(&call, HEARD));
    learn(&call, 100, SENT, HEARD);
    assert_true(served(&call, HEARD));
    replied((int64_t[]){0, 10, 2, 100, 500, 40, 0, REASON_CACHED});
    assert_true(served(&call, HEARD + 1));
    replied((int64_t[]){0, 10, 2, 100, 500, 40, 0, REASON_CACHED});
    assert_true(served(&call, HEARD + 39500));
    replied((int64_t[]){0, 10, 2, 61, 461, 1, 0, REASON_CACHED});
    assert_true(served(&call, HEARD + 40000));
    replied((int64_t[]){0, 10, 2, 60, 460, 1, 0, REASON_CACHED});
    assert_true(served(&call, SENT + 98901));
    replied((int64_t[]){0, 10, 2, 2, 402, 1, 0, REASON_CACHED});
    assert_false(served(&call, SENT + 98902));
    assert_int_equal(deny_cache_stats(cache).entries, 0);
    assert_false(served(&call, SENT + 98901));
}

static void test_cost(void **state)
{
    (void)state;
    struct deny_call call = call_of(DENY_GCRA, "k", 3);
    learn(&call, 100, SENT, HEARD);
    call.cost = 2;
    assert_false(served(&call, HEARD));
    call.cost = 10;
    assert_true(served(&call, HEARD + 1000));
    replied((int64_t[]){0, 10, 2, 99 + 7 * 50, 499, 39, 0, REASON_CACHED});
    call.cost = 11; /* fits at no time, which is another reply */
    assert_false(served(&call, HEARD));
    call.cost = 0;
    assert_false(served(&call, HEARD));
    call = call_of(DENY_GCRA, "k", 4);
    call.span = 50000001;
    assert_false(served(&call, HEARD));
    call.cost = 3;
    learn(&call, 100, SENT, HEARD);
    call.cost = 4;
    assert_true(served(&call, HEARD));
    assert_int_equal(reply[LIMIT_RETRY_MS], 151);
    struct deny_call window = call_of(DENY_WINDOW, "k", 3);
    learn(&window, 100, SENT, HEARD);
    window.cost = 10;
    assert_true(served(&window, HEARD));
    assert_int_equal(reply[LIMIT_RETRY_MS], 100);
}

/* What is known of a smaller cost holds for a larger one, but not the reverse. */
static void test_smallest_cost(void **state)
{
    (void)state;
    struct deny_call three = call_of(DENY_GCRA, "k", 3), five = call_of(DENY_GCRA, "k", 5);
    learn(&five, 200, SENT, HEARD);
    learn(&three, 100, SENT, HEARD);
    assert_true(served(&three, HEARD));
    learn(&five, 200, SENT, HEARD);
    assert_true(served(&three, HEARD));
    assert_int_equal(deny_cache_stats(cache).entries, 1);
    learn(&three, 50, SENT, HEARD);
    assert_true(served(&three, SENT + 98901));
    learn(&three, 300, SENT + 1000, HEARD + 1000);
    assert_true(served(&three, SENT + 98902));
    learn(&five, 900, SENT + 400000, HEARD + 400000);
    assert_false(served(&three, HEARD + 400000));
    assert_true(served(&five, HEARD + 400000));
    assert_int_equal(deny_cache_stats(cache).entries, 1);
}

static void test_identity(void **state)
{
    (void)state;
    struct deny_call call = call_of(DENY_GCRA, "key", 1), other;
    learn(&call, 100, SENT, HEARD);
    assert_true(served(&call, HEARD));
    other = call, other.epoch = 2;
    assert_false(served(&other, HEARD));
    other = call, other.algorithm = DENY_WINDOW;
    assert_false(served(&other, HEARD));
    other = call, other.algorithm = DENY_THROTTLE;
    assert_false(served(&other, HEARD));
    other = call, other.limit = 11;
    assert_false(served(&other, HEARD));
    other = call, other.span++;
    assert_false(served(&other, HEARD));
    other = call, other.delay_us = 1;
    assert_false(served(&other, HEARD));
    other = call, other.key_len = 2;
    assert_false(served(&other, HEARD));
    other = call, other.key = (const uint8_t *)"kez";
    assert_false(served(&other, HEARD));
    assert_true(served(&call, HEARD));
}

/* A reply that is no denial, or one that says nothing about later. */
static void test_not_kept(void **state)
{
    (void)state;
    static const int64_t replies[][LIMIT_FIELDS] = {
        {1, 10, 9, -1, 50, 50, 1, REASON_OK},       {0, 10, 9, -2, 50, 50, 0, REASON_COST},
        {0, 10, 0, 100, 50, 50, 1, REASON_LIMITED}, {1, 10, 0, -1, 50, 50, 0, REASON_SHADOW},
        {0, 10, 0, 100, 50, 50, 0, REASON_HOLD},    {0, 10, 0, 1, 50, 50, 0, REASON_LIMITED},
        {0, 10, 0, -5, 50, 50, 0, REASON_LIMITED},  {1, 10, 0, 100, 50, 50, 1, REASON_QUEUED},
        {1, 10, 0, -1, 50, 50, 1, REASON_REPLAYED}, {0, 10, 0, 100, 50, 50, 0, REASON_CLOSED},
    };
    struct deny_call call = call_of(DENY_GCRA, "k", 1);
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        deny_cache_learn(cache, &call, replies[i], SENT, SENT);
        assert_false(served(&call, SENT));
    }
    call.cost = 0;
    learn(&call, 100, SENT, HEARD);
    call.cost = 11;
    learn(&call, 100, SENT, HEARD);
    learn(&(struct deny_call){.key = call.key, .key_len = 1, .limit = 10, .cost = 1}, 100, SENT, SENT + 98902);
    assert_int_equal(deny_cache_stats(cache).entries, 0);
}

static void test_throttle(void **state)
{
    (void)state;
    const int64_t denial[THROTTLE_FIELDS] = {1, 10, 4, 7, 30};
    struct deny_call call = call_of(DENY_THROTTLE, "k", 6);
    call.span = 2500000000;
    deny_cache_learn(cache, &call, denial, SENT, HEARD);
    assert_int_equal(deny_cache_find(cache, &call, HEARD, reply), THROTTLE_FIELDS);
    assert_memory_equal(reply, denial, sizeof denial);
    call.cost = 7;
    assert_int_equal(deny_cache_find(cache, &call, HEARD + 1500000, reply), THROTTLE_FIELDS);
    assert_memory_equal(reply, ((int64_t[]){1, 10, 4, 9, 29}), sizeof denial);
    assert_true(served(&call, SENT + 6000000 - 6000));
    assert_false(served(&call, SENT + 6000000 - 5999));
    static const int64_t others[][THROTTLE_FIELDS] = {{0, 10, 4, -1, 30}, {1, 10, 4, -1, 30}, {1, 10, 0, 1, 1}};
    for (size_t i = 0; i < 3; i++)
        deny_cache_learn(cache, &call, others[i], SENT + 6000000, SENT + 6000000);
    assert_false(served(&call, SENT + 6000000));
}

/* Numbers no backend should send do no harm. */
static void test_wild_numbers(void **state)
{
    (void)state;
    const int64_t wild[LIMIT_FIELDS] = {0, 10, 0, INT64_MAX, INT64_MIN, INT64_MAX, 0, REASON_LIMITED};
    struct deny_call call = call_of(DENY_GCRA, "k", 1);
    call.limit = call.span = INT64_MAX;
    deny_cache_learn(cache, &call, wild, SENT, HEARD);
    call.cost = INT64_MAX;
    assert_true(served(&call, HEARD));
    assert_int_equal(reply[LIMIT_RETRY_MS], INT64_C(1) << 41);
    assert_int_equal(reply[LIMIT_RESET_MS], 0);
}

/* A change through this process drops every entry of the key, and replies that were under way are not believed. */
static void test_forget(void **state)
{
    (void)state;
    struct deny_call call = call_of(DENY_GCRA, "k", 1), wide = call, other = call_of(DENY_GCRA, "l", 1);
    wide.limit = 20;
    learn(&call, 100, SENT, HEARD);
    learn(&wide, 100, SENT, HEARD);
    learn(&other, 100, SENT, HEARD);
    deny_cache_forget(cache, (const uint8_t *)"k", 1, HEARD);
    assert_false(served(&call, HEARD));
    assert_false(served(&wide, HEARD));
    assert_true(served(&other, HEARD));
    learn(&call, 100, HEARD, HEARD + 100);
    assert_false(served(&call, HEARD + 100));
    learn(&call, 100, HEARD + 1, HEARD + 100);
    assert_true(served(&call, HEARD + 100));
    assert_int_equal(deny_cache_stats(cache).forgotten, 2);
}

static void test_clear(void **state)
{
    (void)state;
    struct deny_call call = call_of(DENY_GCRA, "k", 1), other = call_of(DENY_WINDOW, "l", 1);
    learn(&call, 100, SENT, HEARD);
    learn(&other, 100, SENT, HEARD);
    deny_cache_clear(cache, HEARD);
    assert_false(served(&call, HEARD));
    assert_false(served(&other, HEARD));
    assert_int_equal(deny_cache_stats(cache).entries, 0);
    learn(&other, 100, HEARD, HEARD + 100);
    assert_false(served(&other, HEARD + 100));
    learn(&other, 100, HEARD + 1, HEARD + 100);
    assert_true(served(&other, HEARD + 100));
}

/* The first call of a window's length tells that an earlier reply may not count any more. */
static void test_window_change(void **state)
{
    (void)state;
    struct deny_call one = call_of(DENY_SLIDE_LOG, "k", 1), two = one;
    two.span = one.span / 2;
    learn(&one, 100, SENT, HEARD);
    assert_false(served(&one, HEARD));
    learn(&one, 100, HEARD + 1, HEARD + 1);
    assert_true(served(&one, HEARD + 1));
    learn(&two, 100, HEARD + 2, HEARD + 3);
    assert_false(served(&one, HEARD + 3));
    learn(&one, 100, HEARD + 3, HEARD + 4);
    assert_false(served(&one, HEARD + 4));
}

/* What neither that key nor its kind has to do with stays. */
static void test_window_change_elsewhere(void **state)
{
    (void)state;
    struct deny_call fixed = call_of(DENY_WINDOW, "k", 1), slide = call_of(DENY_SLIDE, "k", 1), other = slide;
    fixed.span++;
    learn(&fixed, 100, SENT, HEARD);
    learn(&slide, 100, SENT, HEARD);
    assert_true(served(&fixed, HEARD));
    struct deny_cache *whole = cache;
    cache = deny_cache_new(0, 7); /* one bucket, one entry */
    learn(&slide, 100, SENT, SENT - 1);
    assert_true(served(&slide, HEARD));
    other.key = (const uint8_t *)"l";
    other.span++;
    deny_cache_learn(cache, &other, (int64_t[LIMIT_FIELDS]){1}, HEARD, HEARD);
    deny_cache_learn(cache, &slide, (int64_t[LIMIT_FIELDS]){1}, HEARD, HEARD);
    assert_true(served(&slide, HEARD));
    deny_cache_free(cache);
    cache = whole;
}

static void test_long_key(void **state)
{
    (void)state;
    char key[DENY_KEY_MAX + 2];
    memset(key, 'k', sizeof key);
    struct deny_call call = call_of(DENY_GCRA, "k", 1);
    call.key = (const uint8_t *)key;
    call.key_len = DENY_KEY_MAX;
    learn(&call, 100, SENT, HEARD);
    assert_true(served(&call, HEARD));
    call.key_len++;
    learn(&call, 100, SENT, HEARD);
    assert_false(served(&call, HEARD));
    deny_cache_forget(cache, call.key, sizeof key, HEARD);
    call.key_len = 0;
    learn(&call, 100, SENT + 1000, SENT + 1000);
    assert_true(served(&call, SENT + 1000));
}

/* Full, the entry that was not used for longest goes; memory is what was said. */
static void test_bounded(void **state)
{
    (void)state;
    struct deny_cache *whole = cache;
    cache = deny_cache_new(4096, 7);
    assert_non_null(cache);
    size_t capacity = deny_cache_stats(cache).capacity;
    assert_in_range(capacity, 10, 16);
    char keys[32][24];
    for (size_t i = 0; i < 2 * capacity; i++) {
        snprintf(keys[i], sizeof keys[i], "k%zu", i);
        struct deny_call call = call_of(DENY_GCRA, keys[i], 1), first = call_of(DENY_GCRA, keys[0], 1);
        learn(&call, 100, SENT, HEARD);
        assert_true(served(&call, HEARD));
        assert_true(served(&first, HEARD));
    }
    assert_int_equal(deny_cache_stats(cache).entries, capacity);
    assert_int_equal(deny_cache_stats(cache).evicted, capacity);
    for (size_t i = 1; i < 2 * capacity; i++) {
        struct deny_call call = call_of(DENY_GCRA, keys[i], 1);
        assert_int_equal(served(&call, HEARD), i > capacity);
    }
    deny_cache_free(cache);
    cache = deny_cache_new(0, 7);
    assert_int_equal(deny_cache_stats(cache).capacity, 1);
    deny_cache_free(cache);
    deny_cache_free(NULL);
    cache = whole;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_cache, close_cache)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_until),
        TEST(test_cost),
        TEST(test_smallest_cost),
        TEST(test_identity),
        TEST(test_not_kept),
        TEST(test_throttle),
        TEST(test_wild_numbers),
        TEST(test_forget),
        TEST(test_clear),
        TEST(test_window_change),
        TEST(test_window_change_elsewhere),
        TEST(test_long_key),
        TEST(test_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
