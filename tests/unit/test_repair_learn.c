/* What a rule learns: the hold from pauses and late acts, and the count at which clients stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "limiter/repair_learn.h"

#define MS INT64_C(1000)
#define S INT64_C(1000000)

static struct repair_learn learn;

static int start(void **state)
{
    (void)state;
    repair_learn_init(&learn, 8);
    return 0;
}

static void pauses(unsigned n, int64_t pause_us)
{
    for (unsigned i = 0; i < n; i++)
        repair_learn_gap(&learn, pause_us);
}

static void counts(int64_t told, unsigned asked, unsigned acted)
{
    for (unsigned i = 0; i < asked; i++)
        repair_learn_count(&learn, told, i < acted);
}

static void test_the_hold_is_eight_pauses(void **state)
{
    (void)state;
    assert_int_equal(repair_learn_hold_us(&learn), S);
    pauses(19, 200 * MS);
    assert_int_equal(repair_learn_hold_us(&learn), S);
    assert_int_equal(repair_learn_pause_us(&learn), 0);
    pauses(1, 200 * MS);
    assert_in_range(repair_learn_pause_us(&learn), 200 * MS, 250 * MS);
    assert_in_range(repair_learn_hold_us(&learn), 1600 * MS, 2 * S);
}

static void test_the_hold_has_bounds(void **state)
{
    (void)state;
    pauses(20, 0);
    assert_int_equal(repair_learn_hold_us(&learn), S);
    repair_learn_init(&learn, 8);
    pauses(20, 2 * S);
    assert_int_equal(repair_learn_hold_us(&learn), 5 * S);
    repair_learn_init(&learn, 8);
    pauses(20, INT64_MAX);
    assert_int_equal(repair_learn_hold_us(&learn), 5 * S);
}

/* A bucket is never wider than a quarter of what is in it, and never tells less. */
static void test_every_pause_is_told_as_long_as_it_was(void **state)
{
    (void)state;
    for (int64_t pause_us = 1; pause_us < 16 * S; pause_us += pause_us / 7 + 1) {
        repair_learn_init(&learn, 8);
        pauses(20, pause_us);
        int64_t told_us = repair_learn_pause_us(&learn);

        assert_true(told_us >= pause_us && (told_us <= pause_us * 5 / 4 + 1 || told_us == 1024));
    }
}

static void test_one_in_a_hundred_may_be_longer(void **state)
{
    (void)state;
    pauses(199, 50 * MS);
    pauses(2, 3 * S);
    assert_in_range(repair_learn_pause_us(&learn), 50 * MS, 63 * MS);
    pauses(1, 3 * S);
    assert_in_range(repair_learn_pause_us(&learn), 3 * S, 4 * S);
}

static void test_old_pauses_are_forgotten(void **state)
{
    (void)state;
    pauses(2000, S);
    pauses(20000, 50 * MS);
    assert_in_range(repair_learn_pause_us(&learn), 50 * MS, 63 * MS);
}

static void founds(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        repair_learn_found(&learn, true);
}

static void test_a_late_act_doubles_the_hold(void **state)
{
    (void)state;
    pauses(20, 0);
    repair_learn_found(&learn, false);
    assert_int_equal(repair_learn_hold_us(&learn), 2 * S);
    repair_learn_found(&learn, false);
    assert_int_equal(repair_learn_hold_us(&learn), 4 * S);
    repair_learn_found(&learn, false);
    assert_int_equal(repair_learn_hold_us(&learn), 5 * S);
    founds(9999);
    repair_learn_found(&learn, false);
    founds(9999);
    assert_int_equal(repair_learn_hold_us(&learn), 5 * S);
    founds(1);
    assert_int_equal(repair_learn_hold_us(&learn), 2500 * MS);
    founds(50000);
    assert_int_equal(repair_learn_hold_us(&learn), S);
}

static void test_where_clients_stop(void **state)
{
    (void)state;
    counts(0, 20, 20);
    counts(1, 20, 15);
    counts(2, 19, 0);
    assert_int_equal(learn.stops_at, 0);
    counts(2, 1, 0);
    assert_int_equal(learn.stops_at, 2);
    assert_int_equal(repair_learn_max(&learn, 100 * S), 2);
    learn.rule_max = 1;
    assert_int_equal(repair_learn_max(&learn, 100 * S), 1);
    learn.rule_max = 8;
    counts(3, 30, 0);
    assert_int_equal(learn.stops_at, 2);
}

static void test_a_few_checks_are_no_comparison(void **state)
{
    (void)state;
    counts(0, 19, 19);
    counts(1, 59, 0);
    assert_int_equal(learn.stops_at, 0);
    counts(0, 1, 1);
    counts(1, 1, 0);
    assert_int_equal(learn.stops_at, 1);
}

static void test_nearly_none_is_none_and_a_few_are_not(void **state)
{
    (void)state;
    counts(0, 20, 20);
    counts(1, 40, 4);
    assert_int_equal(learn.stops_at, 0);
    counts(1, 1, 0);
    assert_int_equal(learn.stops_at, 1);
}

/* As many act as at lower counts: it is the monitors that dilute them all. */
static void test_a_share_that_is_low_everywhere_is_no_stop(void **state)
{
    (void)state;
    counts(0, 100, 6);
    counts(1, 100, 6);
    counts(2, 100, 2);
    assert_int_equal(learn.stops_at, 0);
    counts(3, 100, 1);
    assert_int_equal(learn.stops_at, 3);
}

/* All places were kept by checks that nobody acts on, since before we came: it is found from above. */
static void test_a_stop_where_nobody_is_known_to_act(void **state)
{
    (void)state;
    counts(5, 1000, 0);
    counts(0, 1000, 0);
    counts(7, 60, 2);
    assert_int_equal(learn.stops_at, 0);
    counts(7, 59, 0);
    assert_int_equal(learn.stops_at, 0);
    counts(7, 1, 0);
    assert_int_equal(learn.stops_at, 7);
    counts(5, 1, 0);
    assert_int_equal(learn.stops_at, 7);
    counts(6, 59, 0);
    assert_int_equal(learn.stops_at, 7);
    counts(6, 1, 0);
    assert_int_equal(learn.stops_at, 6);
    counts(5, 1, 0);
    assert_int_equal(learn.stops_at, 5);
}

/* A rule that observes without a maximum has no above. */
static void test_a_stop_without_a_maximum(void **state)
{
    (void)state;
    learn.rule_max = 0;
    counts(4, 10000, 0);
    assert_int_equal(learn.stops_at, 0);
    counts(3, 20, 18);
    counts(4, 1, 0);
    assert_int_equal(learn.stops_at, 4);
}

static void test_a_wrong_guess_is_found_out(void **state)
{
    (void)state;
    counts(1, 20, 20);
    counts(3, 20, 0);
    counts(4, 20, 0);
    assert_int_equal(repair_learn_max(&learn, 100 * S), 3);
    assert_int_equal(repair_learn_max(&learn, 160 * S - 1), 3);
    assert_int_equal(repair_learn_max(&learn, 160 * S), 8);
    assert_int_equal(repair_learn_max(&learn, 161 * S - 1), 8);
    assert_int_equal(repair_learn_max(&learn, 161 * S), 3);
    counts(2, 1, 1);
    assert_int_equal(learn.stops_at, 3);
    counts(4, 1, 1);
    assert_int_equal(learn.stops_at, 0);
    assert_int_equal(repair_learn_max(&learn, 162 * S), 8);
    counts(4, 10, 0);
    assert_int_equal(learn.stops_at, 0);
    counts(4, 9, 0);
    assert_int_equal(learn.stops_at, 4);
}

static void test_what_was_seen_long_ago_weighs_less(void **state)
{
    (void)state;
    counts(0, 30, 30);
    counts(1, 100000, 100000);
    counts(1, 2500, 0);
    assert_int_equal(learn.stops_at, 1);
}

static void test_counts_beyond_those_known(void **state)
{
    (void)state;
    counts(-1, 100, 0);
    counts(REPAIR_COUNTS, 100, 0);
    counts(INT64_MAX, 100, 0);
    assert_int_equal(learn.stops_at, 0);
    learn.rule_max = REPAIR_COUNTS;
    counts(REPAIR_COUNTS - 1, 100, 0);
    assert_int_equal(learn.stops_at, REPAIR_COUNTS - 1);
    counts(REPAIR_COUNTS - 1, 1, 1);
    assert_int_equal(learn.stops_at, 0);
}

static void test_what_a_refused_check_is_told(void **state)
{
    (void)state;
    assert_int_equal(repair_learn_refused(&learn), 8);
    learn.goes_on = true;
    assert_int_equal(repair_learn_refused(&learn), REPAIR_REFUSED_SURELY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_hold_is_eight_pauses, start),
        cmocka_unit_test_setup(test_the_hold_has_bounds, start),
        cmocka_unit_test_setup(test_every_pause_is_told_as_long_as_it_was, start),
        cmocka_unit_test_setup(test_one_in_a_hundred_may_be_longer, start),
        cmocka_unit_test_setup(test_old_pauses_are_forgotten, start),
        cmocka_unit_test_setup(test_a_late_act_doubles_the_hold, start),
        cmocka_unit_test_setup(test_where_clients_stop, start),
        cmocka_unit_test_setup(test_a_few_checks_are_no_comparison, start),
        cmocka_unit_test_setup(test_nearly_none_is_none_and_a_few_are_not, start),
        cmocka_unit_test_setup(test_a_share_that_is_low_everywhere_is_no_stop, start),
        cmocka_unit_test_setup(test_a_stop_where_nobody_is_known_to_act, start),
        cmocka_unit_test_setup(test_a_stop_without_a_maximum, start),
        cmocka_unit_test_setup(test_a_wrong_guess_is_found_out, start),
        cmocka_unit_test_setup(test_what_was_seen_long_ago_weighs_less, start),
        cmocka_unit_test_setup(test_counts_beyond_those_known, start),
        cmocka_unit_test_setup(test_what_a_refused_check_is_told, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
