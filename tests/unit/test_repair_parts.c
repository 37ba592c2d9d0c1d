/* Small parts of what is watched: who asks and never acts, which counters have no end, what is seldom so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "limiter/repair_askers.h"
#include "limiter/repair_born.h"
#include "limiter/repair_recent.h"

static void note_endless(void *arg, unsigned rule)
{
    unsigned *rules = arg;

    *rules = *rules * 10 + rule;
}

/* A key that falls into the place of another takes it, and ends nothing but itself. */
static void test_counters_of_one_place(void **state)
{
    static struct repair_born born;
    unsigned rules = 0;
    (void)state;

    repair_born_began(&born, 5, 1, 0);
    repair_born_ends(&born, 5 + REPAIR_BORN_PLACES);
    repair_born_began(&born, 6, 2, 0);
    repair_born_began(&born, 6 + REPAIR_BORN_PLACES, 3, 0);
    repair_born_tick(&born, INT64_C(1000000) + 1, note_endless, &rules);
    repair_born_tick(&born, INT64_C(1000000) + 1, note_endless, &rules);
    assert_int_equal(rules, 13);
}

/* Of two askers that fall into one place the later one is known. */
static void test_askers_of_one_place(void **state)
{
    static struct repair_askers askers;
    (void)state;

    for (int i = 0; i < 20; i++)
        repair_askers_told(&askers, 5, i, 100, REPAIR_ACTORS_UNKNOWN);
    assert_true(repair_askers_has_enough(&askers, 5, 118) && !repair_askers_has_enough(&askers, 5, 119));
    assert_false(repair_askers_has_enough(&askers, 5 + REPAIR_ASKER_PLACES, 50));
    assert_false(repair_askers_acted(&askers, 5 + REPAIR_ASKER_PLACES));
    assert_true(repair_askers_has_enough(&askers, 5, 50));
    repair_askers_told(&askers, 5 + REPAIR_ASKER_PLACES, 20, 100, REPAIR_ACTORS_UNKNOWN);
    assert_false(repair_askers_has_enough(&askers, 5 + REPAIR_ASKER_PLACES, 50));
    assert_false(repair_askers_has_enough(&askers, 5, 50));
}

/* Where who acts does not ask, who asks is one half of a client. */
static void test_askers_for_others(void **state)
{
    static struct repair_askers askers;
    (void)state;

    for (int64_t i = 0; i < 100; i++) {
        repair_askers_told(&askers, 5, i, 100, REPAIR_ACTORS_DO_NOT_ASK);
        assert_false(repair_askers_has_enough(&askers, 5, i));
    }
}

/* Where who acts asks, too, who never acts gets a place ever more seldom, until it acts. */
static void test_askers_that_stand_apart(void **state)
{
    static const int64_t waits[] = {0, 0, 0, 1, 1, 1, 2, 4, 8, 16, 16};
    static struct repair_askers askers;
    (void)state;

    for (int64_t i = 0; i < 11; i++) {
        repair_askers_told(&askers, 5, i, 100, REPAIR_ACTORS_ASK);
        assert_false(repair_askers_has_enough(&askers, 5, i + 100 * waits[i]));
        assert_true(waits[i] == 0 || repair_askers_has_enough(&askers, 5, i + 100 * waits[i] - 1));
    }
    repair_askers_refused(&askers, 5, 20);
    assert_true(repair_askers_has_enough(&askers, 5, 20) && repair_askers_acted(&askers, 5));
    assert_false(repair_askers_has_enough(&askers, 5, 20));
    repair_askers_refused(&askers, 5 + REPAIR_ASKER_PLACES, 21);
    assert_true(repair_askers_acted(&askers, 5));
    repair_askers_refused(&askers, 5 + REPAIR_ASKER_PLACES, 21 + 10 * INT64_C(1000000));
    assert_true(!repair_askers_acted(&askers, 5) && repair_askers_acted(&askers, 5 + REPAIR_ASKER_PLACES));
}

static void test_what_is_seldom(void **state)
{
    struct repair_recent recent = {0};
    (void)state;

    for (unsigned i = 0; i < REPAIR_RECENT_OF; i++) {
        assert_false(repair_recent_is_seldom(&recent) || repair_recent_is_often(&recent));
        repair_recent_note(&recent, i == 0);
    }
    assert_true(repair_recent_is_seldom(&recent));
    repair_recent_note(&recent, true);
    repair_recent_note(&recent, true);
    assert_true(repair_recent_is_often(&recent) && !repair_recent_is_seldom(&recent));
    assert_in_range(repair_recent_share(&recent), 2, 3);
    for (unsigned i = 0; i < 2 * REPAIR_RECENT_OF; i++)
        repair_recent_note(&recent, false);
    assert_true(repair_recent_is_seldom(&recent));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_of_one_place),   cmocka_unit_test(test_askers_of_one_place),
        cmocka_unit_test(test_askers_that_stand_apart), cmocka_unit_test(test_askers_for_others),
        cmocka_unit_test(test_what_is_seldom),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
