/* Which places run: step by step, and in random traces against a list that does the same without any cleverness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "limiter/lease_book.h"

enum { KEYS = 5, TOKENS = 7, STEPS = 200000, OWNERS = 2 };

static struct lease_book *book;
static int owners[OWNERS];
static unsigned expired[OWNERS], runs[OWNERS], keys_held, fullest;
static int64_t first_end_us;

static int open_book(void **state)
{
    (void)state;
    book = lease_book_new(1 << 16);
    return book ? 0 : 1;
}

static int close_book(void **state)
{
    (void)state;
    lease_book_free(book);
    return 0;
}

static struct lease_id id(const char *key, const char *token)
{
    return lease_id(7, (const uint8_t *)key, strlen(key), (const uint8_t *)token, strlen(token));
}

static void on_expired(void *arg, void *of)
{
    ((unsigned *)arg)[(int *)of - owners]++;
}

static void on_running(void *arg, void *of, int64_t end_us)
{
    (void)arg;
    runs[(int *)of - owners]++;
    first_end_us = first_end_us && first_end_us < end_us ? first_end_us : end_us;
}

static void on_held(void *arg, void *of, uint32_t leases)
{
    (void)arg, (void)of;
    keys_held++;
    fullest = leases > fullest ? leases : fullest;
}

static void tick(int64_t now_us)
{
    const struct lease_visitor visitor = {on_expired, on_running, on_held, expired};

    memset(runs, 0, sizeof runs);
    memset(expired, 0, sizeof expired);
    keys_held = fullest = 0;
    first_end_us = 0;
    lease_book_tick(book, now_us, &visitor);
}

static void expect(unsigned of_first, unsigned of_second, unsigned keys, unsigned most)
{
    assert_int_equal(runs[0], of_first);
    assert_int_equal(runs[1], of_second);
    assert_int_equal(keys_held, keys);
    assert_int_equal(fullest, most);
}

static void test_granted_renewed_released_expired(void **state)
{
    (void)state;
    assert_true(lease_book_hold(book, id("a", "1"), &owners[0], 100));
    assert_true(lease_book_hold(book, id("a", "2"), &owners[0], 200));
    assert_true(lease_book_hold(book, id("b", "1"), &owners[1], 300));
    tick(99);
    expect(2, 1, 2, 2);
    assert_int_equal(first_end_us, 100);
    assert_true(lease_book_hold(book, id("a", "1"), &owners[0], 150));
    tick(100);
    expect(2, 1, 2, 2);
    assert_true(lease_book_end(book, id("a", "2")));
    assert_false(lease_book_end(book, id("a", "2")));
    assert_false(lease_book_end(book, id("c", "2")));
    tick(150);
    expect(0, 1, 1, 1);
    assert_int_equal(expired[0], 1);
    tick(1000);
    expect(0, 0, 0, 0);
    assert_true(expired[0] == 0 && expired[1] == 1);
}

static void test_all_of_a_key(void **state)
{
    (void)state;
    lease_book_hold(book, id("a", "1"), &owners[0], 100);
    lease_book_hold(book, id("a", "2"), &owners[0], 100);
    lease_book_hold(book, id("b", "2"), &owners[0], 100);
    assert_int_equal(lease_book_end_all(book, id("a", "").key), 2);
    assert_int_equal(lease_book_end_all(book, id("none", "").key), 0);
    tick(0);
    expect(1, 0, 1, 1);
}

static void *other(void *arg, void *of)
{
    (void)of;
    return arg;
}

static void test_somebody_elses(void **state)
{
    (void)state;
    lease_book_hold(book, id("a", "1"), &owners[0], 100);
    lease_book_hand_over(book, other, &owners[1]);
    tick(0);
    expect(0, 1, 1, 1);
}

/* The least book has room for 16. */
static void test_what_finds_no_room_is_not_kept(void **state)
{
    struct lease_book *least = lease_book_new(1);
    char token[2] = "A";

    (void)state;
    for (unsigned i = 0; i < 20; i++, token[0]++)
        assert_int_equal(lease_book_hold(least, id("a", token), owners, 100), i < 16);
    assert_true(lease_book_hold(least, id("a", "A"), owners, 200));
    assert_true(lease_book_end(least, id("a", "B")));
    assert_true(lease_book_hold(least, id("b", "1"), owners, 100));
    assert_false(lease_book_hold(least, id("b", "2"), owners, 100));
    lease_book_free(least);
}

struct model {
    int64_t end_us[KEYS][TOKENS]; /* 0: none */
};

static unsigned forget(struct model *model, int64_t now_us)
{
    unsigned n = 0;

    for (unsigned i = 0; i < KEYS * TOKENS; i++) {
        int64_t *end_us = &model->end_us[i / TOKENS][i % TOKENS];

        n += *end_us && *end_us <= now_us;
        *end_us = *end_us > now_us ? *end_us : 0;
    }
    return n;
}

static void compare(const struct model *model)
{
    unsigned all = 0, held = 0, most = 0;

    for (unsigned k = 0; k < KEYS; k++) {
        unsigned n = 0;

        for (unsigned t = 0; t < TOKENS; t++)
            n += model->end_us[k][t] > 0;
        all += n;
        held += n > 0;
        most = n > most ? n : most;
    }
    expect(all, 0, held, most);
}

static void step(struct model *model, int64_t now_us)
{
    unsigned k = (unsigned)rand() % KEYS, t = (unsigned)rand() % TOKENS, what = (unsigned)rand() % 100;
    char key[2] = {(char)('a' + (int)k)}, token[2] = {(char)('0' + (int)t)};

    if (what < 50) {
        model->end_us[k][t] = now_us + 1 + rand() % 20;
        assert_true(lease_book_hold(book, id(key, token), owners, model->end_us[k][t]));
    } else if (what < 80) {
        assert_int_equal(lease_book_end(book, id(key, token)), model->end_us[k][t] > 0);
        model->end_us[k][t] = 0;
    } else if (what < 82) {
        unsigned n = 0;

        for (unsigned i = 0; i < TOKENS; i++)
            n += model->end_us[k][i] > 0;
        assert_int_equal(lease_book_end_all(book, id(key, "").key), n);
        memset(model->end_us[k], 0, sizeof model->end_us[k]);
    } else {
        unsigned gone = forget(model, now_us);

        tick(now_us);
        assert_int_equal(expired[0], gone);
        compare(model);
    }
}

static void test_random_traces(void **state)
{
    struct model model = {0};

    (void)state;
    srand(11);
    for (int64_t i = 1; i <= STEPS; i++)
        step(&model, i / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_granted_renewed_released_expired, open_book, close_book),
        cmocka_unit_test_setup_teardown(test_all_of_a_key, open_book, close_book),
        cmocka_unit_test_setup_teardown(test_somebody_elses, open_book, close_book),
        cmocka_unit_test_setup_teardown(test_what_finds_no_room_is_not_kept, open_book, close_book),
        cmocka_unit_test_setup_teardown(test_random_traces, open_book, close_book),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
