/* Which check an act came from, which are given up, and that the table stays right when it is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "limiter/repair_pairs.h"

#define S INT64_C(1000000)

static struct repair_pairs *pairs;
static struct repair_check check;
static unsigned given_up;
static int64_t last_given_up;

static void unacted(void *arg, const struct repair_check *gone)
{
    assert_ptr_equal(arg, &pairs);
    given_up++;
    last_given_up = gone->told;
}

static int start(void **state)
{
    (void)state;
    pairs = repair_pairs_new(16, unacted, &pairs);
    given_up = 0;
    return pairs ? 0 : 1;
}

static int finish(void **state)
{
    (void)state;
    repair_pairs_free(pairs);
    repair_pairs_free(NULL);
    return 0;
}

static void asks(uint64_t owner, uint64_t key, int64_t told, int64_t at_us, bool refused)
{
    struct repair_check one = {
        .key = key, .owner = owner, .told = told, .at_us = at_us, .hold_us = S, .refused = refused};

    repair_pairs_check(pairs, &one, at_us);
}

static enum repair_match acts(uint64_t owner, uint64_t key, int64_t at_us, bool swaps)
{
    struct repair_check act = {.key = key, .owner = owner, .at_us = at_us};

    return repair_pairs_act(pairs, &act, swaps, &check);
}

static void test_its_own_check(void **state)
{
    (void)state;
    asks(1, 7, 0, 100, false);
    asks(2, 7, 1, 200, false);
    assert_int_equal(acts(2, 7, 300, false), REPAIR_OWN);
    assert_int_equal(check.at_us, 200);
    assert_int_equal(acts(1, 8, 300, false), REPAIR_UNASKED);
    assert_int_equal(acts(1, 7, 400, false), REPAIR_OWN);
    assert_int_equal(acts(1, 7, 400, false), REPAIR_UNASKED);
    assert_int_equal(given_up, 0);
}

static void test_the_check_with_the_most_room(void **state)
{
    (void)state;
    asks(1, 7, 2, 100, false);
    asks(1, 7, 1, 200, false);
    asks(1, 7, 1, 300, false);
    asks(1, 7, 3, 400, false);
    for (unsigned i = 0; i < 4; i++) {
        static const int64_t told[] = {1, 1, 2, 3};

        assert_int_equal(acts(1, 7, 500, false), REPAIR_OWN);
        assert_true(check.told == told[i] && check.at_us == 400); /* it was not asked longer ago, for certain */
    }
    assert_int_equal(acts(1, 7, 500, false), REPAIR_UNASKED);
}

static void test_another_connections_check(void **state)
{
    (void)state;
    asks(1, 7, 1, 100, false);
    asks(2, 7, 0, 200, false);
    asks(3, 7, 0, 300, true);
    assert_int_equal(acts(4, 7, 400, false), REPAIR_OTHERS);
    assert_int_equal(check.owner, 2);
    asks(2, 7, 0, 500, false);
    assert_int_equal(acts(1, 7, 600, true), REPAIR_OTHERS);
    assert_int_equal(check.owner, 2);
    assert_int_equal(acts(1, 7, 600, true), REPAIR_OWN);
}

static void test_a_check_that_has_ended_or_was_refused(void **state)
{
    (void)state;
    asks(1, 7, 0, 0, false);
    assert_int_equal(acts(1, 7, S + 1, false), REPAIR_LATE);
    asks(1, 7, 5, 2 * S, true);
    assert_int_equal(acts(1, 7, 2 * S + 1, false), REPAIR_REFUSED);
    asks(2, 7, 5, 3 * S, true);
    assert_int_equal(acts(1, 7, 3 * S + 1, false), REPAIR_REFUSED);
    asks(1, 7, 0, 4 * S, false);
    assert_int_equal(acts(1, 7, 5 * S, false), REPAIR_OWN);
    assert_int_equal(given_up, 0);
}

/* The backend had no reservation for it, so what seems fresh here is somebody else's. */
static void test_an_act_that_is_known_to_be_late(void **state)
{
    struct repair_check act = {.key = 7, .owner = 1, .at_us = 2 * S};
    (void)state;

    assert_int_equal(repair_pairs_act_late(pairs, &act, &check), REPAIR_UNASKED);
    asks(1, 7, 3, 0, false);
    asks(2, 7, 0, 2 * S, false);
    assert_int_equal(repair_pairs_act_late(pairs, &act, &check), REPAIR_LATE);
    assert_int_equal(check.told, 3);
    asks(1, 7, 5, 2 * S, true);
    assert_int_equal(repair_pairs_act_late(pairs, &act, &check), REPAIR_REFUSED);
}

static void test_who_checks_again_did_not_act(void **state)
{
    (void)state;
    asks(1, 7, 3, 0, false);
    asks(1, 7, 5, 1, true);
    asks(1, 7, 4, S, false);
    assert_int_equal(given_up, 0);
    asks(1, 8, 4, S + 1, false);
    asks(2, 7, 4, S + 1, false);
    assert_int_equal(given_up, 0);
    asks(1, 7, 4, S + 1, false);
    assert_int_equal(given_up, 1);
    assert_int_equal(last_given_up, 3);
}

/* More of its checks still count than are looked at at a time. */
static void test_who_checks_often_is_known_not_to_act_all_the_same(void **state)
{
    (void)state;
    repair_pairs_free(pairs);
    pairs = repair_pairs_new(1024, unacted, &pairs);
    for (int64_t at_us = 0; at_us <= 3 * S; at_us += S / 200)
        asks(1, 7, 4, at_us, false);
    assert_int_equal(given_up, 400);
}

static void test_nothing_is_remembered_for_ever(void **state)
{
    (void)state;
    asks(1, 7, 3, 0, false);
    asks(2, 7, 5, 0, true);
    asks(3, 7, 4, 1, false);
    repair_pairs_tick(pairs, 10 * S);
    assert_int_equal(given_up, 0);
    repair_pairs_tick(pairs, 10 * S + 1);
    assert_int_equal(given_up, 1);
    assert_int_equal(last_given_up, 3);
    repair_pairs_tick(pairs, 10 * S + 2);
    assert_int_equal(given_up, 2);
    assert_int_equal(acts(3, 7, 10 * S + 2, false), REPAIR_UNASKED);
}

/* Two rules may see one key. */
static void test_rules_do_not_mix(void **state)
{
    struct repair_check act = {.key = 7, .owner = 1, .rule = 1, .at_us = 10};
    (void)state;

    asks(1, 7, 0, 0, false);
    assert_int_equal(repair_pairs_act(pairs, &act, false, &check), REPAIR_UNASKED);
}

/* What makes room is forgotten, not given up: nobody knows whether it would have been acted on. */
static void test_a_full_table(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 1000; i++)
        asks(i, i % 5, 0, (int64_t)i, false);
    assert_int_equal(given_up, 0);
    for (uint64_t i = 984; i < 1000; i++)
        assert_int_equal(acts(i, i % 5, 1000, false), REPAIR_OWN);
    for (uint64_t key = 0; key < 5; key++)
        assert_int_equal(acts(1, key, 1000, false), REPAIR_UNASKED);
    asks(1, 1, 0, 1001, false);
    assert_int_equal(acts(1, 1, 1001, false), REPAIR_OWN);
}

static void test_what_is_old_in_a_full_table(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 17; i++)
        asks(i, 7, 0, i < 16 ? 0 : 5 * S, false);
    repair_pairs_tick(pairs, 10 * S + 1);
    assert_int_equal(given_up, 15);
}

static void test_random_use_keeps_it_whole(void **state)
{
    uint64_t random = 7;
    unsigned found[5] = {0};
    (void)state;

    for (int64_t i = 0; i < 200000; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        uint64_t owner = random >> 60, key = random >> 57 & 7;

        if (random >> 40 & 1)
            asks(owner, key, random >> 41 & 3, i * 100000, random >> 45 & 1);
        else
            found[acts(owner, key, i * 100000, random >> 46 & 1)]++;
    }
    for (int match = REPAIR_UNASKED; match <= REPAIR_REFUSED; match++)
        assert_true(found[match] > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_its_own_check, start, finish),
        cmocka_unit_test_setup_teardown(test_the_check_with_the_most_room, start, finish),
        cmocka_unit_test_setup_teardown(test_another_connections_check, start, finish),
        cmocka_unit_test_setup_teardown(test_a_check_that_has_ended_or_was_refused, start, finish),
        cmocka_unit_test_setup_teardown(test_an_act_that_is_known_to_be_late, start, finish),
        cmocka_unit_test_setup_teardown(test_who_checks_again_did_not_act, start, finish),
        cmocka_unit_test_setup_teardown(test_who_checks_often_is_known_not_to_act_all_the_same, start, finish),
        cmocka_unit_test_setup_teardown(test_nothing_is_remembered_for_ever, start, finish),
        cmocka_unit_test_setup_teardown(test_rules_do_not_mix, start, finish),
        cmocka_unit_test_setup_teardown(test_a_full_table, start, finish),
        cmocka_unit_test_setup_teardown(test_what_is_old_in_a_full_table, start, finish),
        cmocka_unit_test_setup_teardown(test_random_use_keeps_it_whole, start, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
