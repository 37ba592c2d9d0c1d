/* The health of one backend: every way from state to state, what is certain at once, and when the next check is due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/health/state.h"

static const struct health_rules rules = {.fall = 3, .rise = 2, .interval_ms = 500, .fast_interval_ms = 100};

static struct health up(void)
{
    struct health health;

    health_init(&health, 1);
    assert_int_equal(health.state, HEALTH_UNKNOWN);
    assert_true(health_passed(&health, &rules, 5));
    assert_int_equal(health.state, HEALTH_UP);
    return health;
}

static struct health down_by(enum health_cause cause)
{
    struct health health;

    health_init(&health, 1);
    assert_true(health_failed(&health, &rules, cause, 5));
    return health;
}

static bool is_wrong(enum health_cause cause)
{
    return cause == CAUSE_TLS || cause == CAUSE_AUTH || cause == CAUSE_PROTOCOL || cause == CAUSE_DATASET ||
           cause == CAUSE_CLUSTER;
}

static bool is_definite(enum health_cause cause)
{
    return is_wrong(cause) || cause == CAUSE_LOADING || cause == CAUSE_ROLE || cause == CAUSE_CAPACITY ||
           cause == CAUSE_QUOTA;
}

static enum health_state verdict_of(enum health_cause cause)
{
    return is_wrong(cause) ? HEALTH_WRONG : HEALTH_DOWN;
}

static void test_names(void **state)
{
    static const char *const states[] = {"unknown", "up", "suspect", "down", "wrong"};
    static const char *const causes[] = {"none",    "dns",      "refused",  "connect", "timeout", "lost",
                                         "tls",     "auth",     "protocol", "loading", "role",    "dataset",
                                         "cluster", "capacity", "quota",    "busy",    "slow"};
    (void)state;
    for (int i = HEALTH_UNKNOWN; i <= HEALTH_WRONG; i++)
        assert_string_equal(health_state_name((enum health_state)i), states[i]);
    for (int i = CAUSE_NONE; i < CAUSE_COUNT; i++)
        assert_string_equal(health_cause_name((enum health_cause)i), causes[i]);
}

static void test_the_first_verdict_needs_one_check(void **state)
{
    (void)state;
    for (enum health_cause cause = CAUSE_DNS; cause < CAUSE_SLOW; cause++) {
        struct health health = down_by(cause);
        assert_int_equal(health.state, verdict_of(cause));
        assert_int_equal(health.cause, cause);
        assert_int_equal(health.since_ms, 5);
    }
}

/* How many failures in a row it takes from UP, for each cause. */
static void test_what_is_certain(void **state)
{
    (void)state;
    for (enum health_cause cause = CAUSE_DNS; cause < CAUSE_SLOW; cause++) {
        unsigned needed = is_definite(cause) ? 1 : cause == CAUSE_REFUSED ? 2 : rules.fall;
        struct health health = up();
        for (unsigned fails = 1; fails < needed; fails++) {
            assert_int_equal(health_failed(&health, &rules, cause, 10 * fails), fails == 1);
            assert_int_equal(health.state, HEALTH_SUSPECT);
            assert_int_equal(health.since_ms, 10);
            assert_int_equal(health.fails, fails);
            assert_int_equal(health.cause, cause);
        }
        assert_true(health_failed(&health, &rules, cause, 77));
        assert_int_equal(health.state, verdict_of(cause));
        assert_int_equal(health.since_ms, 77);
    }
}

static void test_one_success_clears_a_suspicion(void **state)
{
    struct health health = up();

    (void)state;
    for (int round = 0; round < 10; round++) {
        health_failed(&health, &rules, CAUSE_BUSY, 10);
        health_failed(&health, &rules, CAUSE_TIMEOUT, 11);
        assert_int_equal(health.state, HEALTH_SUSPECT);
        assert_true(health_passed(&health, &rules, 12));
        assert_int_equal(health.state, HEALTH_UP);
        assert_int_equal(health.cause, CAUSE_NONE);
        assert_int_equal(health.fails, 0);
        assert_int_equal(health.since_ms, 12);
    }
    assert_false(health_passed(&health, &rules, 20));
    assert_int_equal(health.since_ms, 12);
}

/* Two refusals with something else between them are not two in a row; all of them still count for `fall`. */
static void test_a_refusal_is_confirmed_by_the_next_one_only(void **state)
{
    struct health health = up();

    (void)state;
    health_failed(&health, &rules, CAUSE_REFUSED, 10);
    health_failed(&health, &rules, CAUSE_TIMEOUT, 11);
    assert_int_equal(health.state, HEALTH_SUSPECT);
    assert_true(health_failed(&health, &rules, CAUSE_REFUSED, 12));
    assert_int_equal(health.state, HEALTH_DOWN);

    health = up();
    health_failed(&health, &rules, CAUSE_TIMEOUT, 10);
    assert_false(health_failed(&health, &rules, CAUSE_REFUSED, 11));
    assert_int_equal(health_next_check_ms(&health, &rules, false), 0);
    assert_true(health_failed(&health, &rules, CAUSE_REFUSED, 11));
    assert_int_equal(health.state, HEALTH_DOWN);
}

static void test_a_low_fall_comes_first(void **state)
{
    struct health_rules strict = rules;
    struct health health = up();

    (void)state;
    strict.fall = 1;
    assert_true(health_failed(&health, &strict, CAUSE_BUSY, 10));
    assert_int_equal(health.state, HEALTH_DOWN);
}

static void test_coming_back_needs_successes_in_a_row(void **state)
{
    (void)state;
    for (enum health_cause cause = CAUSE_DNS; cause < CAUSE_SLOW; cause++) {
        struct health health = down_by(cause);
        assert_false(health_passed(&health, &rules, 20));
        assert_int_equal(health.state, verdict_of(cause));
        assert_int_equal(health.cause, cause);
        assert_false(health_failed(&health, &rules, cause, 30));
        assert_false(health_passed(&health, &rules, 40));
        assert_true(health_passed(&health, &rules, 50));
        assert_int_equal(health.state, HEALTH_UP);
        assert_int_equal(health.cause, CAUSE_NONE);
        assert_int_equal(health.since_ms, 50);
    }
}

static void test_the_cause_of_being_down_stays_fresh(void **state)
{
    (void)state;
    for (enum health_cause from = CAUSE_DNS; from < CAUSE_SLOW; from++)
        for (enum health_cause to = CAUSE_DNS; to < CAUSE_SLOW; to++) {
            struct health health = down_by(from);
            bool moves = is_wrong(from) != is_wrong(to);
            assert_int_equal(health_failed(&health, &rules, to, 30), moves);
            assert_int_equal(health.state, verdict_of(to));
            assert_int_equal(health.cause, to);
            assert_int_equal(health.since_ms, moves ? 30 : 5);
        }
}

static void test_a_hint_only_asks_for_a_check(void **state)
{
    struct health health = up(), before;

    (void)state;
    assert_int_equal(health_next_check_ms(&health, &rules, false), 500);
    assert_true(health_hint(&health, CAUSE_SLOW, 10));
    assert_int_equal(health.state, HEALTH_SUSPECT);
    assert_int_equal(health.cause, CAUSE_SLOW);
    assert_int_equal(health.fails, 0);
    assert_int_equal(health_next_check_ms(&health, &rules, false), 0);
    health_failed(&health, &rules, CAUSE_TIMEOUT, 20);
    assert_int_equal(health_next_check_ms(&health, &rules, false), 100);
    before = health;
    assert_false(health_hint(&health, CAUSE_REFUSED, 30));
    assert_memory_equal(&health, &before, sizeof(health));

    health_init(&health, 1);
    assert_false(health_hint(&health, CAUSE_LOST, 10));
    assert_int_equal(health.state, HEALTH_UNKNOWN);
    health = down_by(CAUSE_ROLE);
    assert_false(health_hint(&health, CAUSE_LOST, 10));
    assert_int_equal(health.cause, CAUSE_ROLE);
}

/* A refusal the data path met is confirmed by one check; any other trouble of the data path counts for nothing. */
static void test_what_a_check_confirms(void **state)
{
    struct health health = up();

    (void)state;
    health_hint(&health, CAUSE_REFUSED, 10);
    assert_true(health_failed(&health, &rules, CAUSE_REFUSED, 11));
    assert_int_equal(health.state, HEALTH_DOWN);

    health = up();
    health_hint(&health, CAUSE_LOST, 10);
    assert_false(health_failed(&health, &rules, CAUSE_LOST, 11));
    assert_int_equal(health_next_check_ms(&health, &rules, false), 0); /* what a dying process looks like */
    assert_false(health_failed(&health, &rules, CAUSE_LOST, 12));
    assert_int_equal(health_next_check_ms(&health, &rules, false), 0);
    assert_true(health_failed(&health, &rules, CAUSE_LOST, 13));
}

static void test_when_the_next_check_is_due(void **state)
{
    struct health health;

    (void)state;
    health_init(&health, 1);
    assert_int_equal(health_next_check_ms(&health, &rules, false), 100);
    for (enum health_cause cause = CAUSE_DNS; cause < CAUSE_SLOW; cause++) {
        uint32_t least = cause == CAUSE_AUTH ? 5000 : cause == CAUSE_QUOTA ? 60000 : 0;
        struct health_rules slow = rules;
        health = down_by(cause);
        slow.interval_ms = 90000;
        assert_int_equal(health_next_check_ms(&health, &rules, false), least ? least : 500);
        assert_int_equal(health_next_check_ms(&health, &rules, true), least ? least : 100);
        assert_int_equal(health_next_check_ms(&health, &slow, false), 90000);
        health_passed(&health, &rules, 20);
        assert_int_equal(health_next_check_ms(&health, &rules, false), 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_the_first_verdict_needs_one_check),
        cmocka_unit_test(test_what_is_certain),
        cmocka_unit_test(test_one_success_clears_a_suspicion),
        cmocka_unit_test(test_a_refusal_is_confirmed_by_the_next_one_only),
        cmocka_unit_test(test_a_low_fall_comes_first),
        cmocka_unit_test(test_coming_back_needs_successes_in_a_row),
        cmocka_unit_test(test_the_cause_of_being_down_stays_fresh),
        cmocka_unit_test(test_a_hint_only_asks_for_a_check),
        cmocka_unit_test(test_what_a_check_confirms),
        cmocka_unit_test(test_when_the_next_check_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
