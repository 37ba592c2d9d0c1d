/* Who gets the requests over time: cold start, failover, failback and hold-down, pins, and a process that stood still.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "simulation.h"

/* The first two backends; both are up. */
static void start_two(struct director *director, enum failback failback)
{
    struct director_rules rules = sim_rules(failback);

    director_init(director, 2, &rules, 1000);
    assert_int_equal(director->choice.why, ROUTE_WAITING);
    assert_int_equal(director->next_timer_ms, 6000);
    assert_false(director_result(director, 1, CAUSE_NONE, 1010));
    assert_int_equal(director->choice.why, ROUTE_WAITING);
    assert_true(director_result(director, 0, CAUSE_NONE, 1020));
    assert_int_equal(director->choice.index, 0);
    assert_int_equal(director->epoch, 1);
    assert_int_equal(director->next_timer_ms, DIRECTOR_NEVER);
}

static void lose(struct director *director, unsigned index, uint64_t now_ms)
{
    director_result(director, index, CAUSE_ROLE, now_ms);
    assert_int_equal(director->health[index].state, HEALTH_DOWN);
}

static void regain(struct director *director, unsigned index, uint64_t now_ms)
{
    director_result(director, index, CAUSE_NONE, now_ms);
    director_result(director, index, CAUSE_NONE, now_ms);
    assert_int_equal(director->health[index].state, HEALTH_UP);
}

static void test_grace_ends(void **state)
{
    struct director_rules rules = sim_rules(FAILBACK_AUTO);
    struct director director;

    (void)state;
    director_init(&director, 2, &rules, 1000);
    director_result(&director, 1, CAUSE_NONE, 1010);
    assert_false(director_tick(&director, 5999));
    assert_true(director_tick(&director, 6000));
    assert_int_equal(director.choice.index, 1);
    assert_int_equal(director.choice.why, ROUTE_FIRST);
    assert_int_equal(director.input.current, ROUTE_NONE);
    /* The first one was late, but it never failed in use: nothing holds it. */
    assert_true(director_result(&director, 0, CAUSE_NONE, 6100));
    assert_int_equal(director.choice.index, 0);
    assert_int_equal(director.choice.why, ROUTE_FAILBACK);
    assert_int_equal(director.epoch, 2);
}

static void test_a_hint_moves_nothing_but_the_next_check(void **state)
{
    struct director director;

    (void)state;
    start_two(&director, FAILBACK_AUTO);
    assert_int_equal(director_next_check_ms(&director, 0), 500);
    assert_false(director_hint(&director, 0, CAUSE_SLOW, 2000));
    assert_int_equal(director.choice.index, 0);
    assert_int_equal(director.choice.why, ROUTE_KEPT);
    assert_int_equal(director_next_check_ms(&director, 0), 0);
    assert_false(director_result(&director, 0, CAUSE_TIMEOUT, 2100));
    assert_false(director_result(&director, 0, CAUSE_TIMEOUT, 2200));
    assert_true(director_result(&director, 0, CAUSE_TIMEOUT, 2300));
    assert_int_equal(director.choice.index, 1);
    assert_int_equal(director.choice.why, ROUTE_FAILOVER);
    assert_int_equal(director.input.current, 0);
}

static void test_failback_waits_for_the_hold(void **state)
{
    struct director director;

    (void)state;
    start_two(&director, FAILBACK_AUTO);
    lose(&director, 0, 10000);
    assert_int_equal(director.choice.index, 1);
    regain(&director, 0, 20000);
    assert_int_equal(director.choice.index, 1);
    assert_true(director.input.held[0]);
    assert_int_equal(director.next_timer_ms, 30000);
    assert_false(director_tick(&director, 29999));
    assert_true(director_tick(&director, 30000));
    assert_int_equal(director.choice.index, 0);
    assert_int_equal(director.next_timer_ms, DIRECTOR_NEVER);
    lose(&director, 0, 31000);
    regain(&director, 0, 40000);
    assert_int_equal(director.next_timer_ms, 60000);
    assert_int_equal(director.epoch, 4);
}

/* A hold protects from leaving something usable, not from being served. */
static void test_a_held_one_is_better_than_none(void **state)
{
    struct director director;

    (void)state;
    start_two(&director, FAILBACK_AUTO);
    lose(&director, 0, 10000);
    regain(&director, 0, 20000);
    lose(&director, 1, 21000);
    assert_int_equal(director.choice.index, 0);
    lose(&director, 0, 22000);
    assert_int_equal(director.choice.index, ROUTE_NONE);
    assert_int_equal(director.choice.why, ROUTE_ALL_DOWN);
    assert_int_equal(director.hold[0].current_ms, 20000);
    assert_int_equal(director.hold[1].current_ms, 10000);
    assert_int_equal(director_next_check_ms(&director, 1), 100);
    regain(&director, 1, 23000);
    assert_int_equal(director.choice.index, 1);
    assert_int_equal(director.choice.why, ROUTE_FIRST);
    assert_int_equal(director_next_check_ms(&director, 0), 500);
}

static void test_a_pin(void **state)
{
    struct director director;

    (void)state;
    start_two(&director, FAILBACK_AUTO);
    assert_true(director_pin(&director, 1, 2000));
    assert_int_equal(director.choice.index, 1);
    assert_int_equal(director.choice.why, ROUTE_PINNED);
    lose(&director, 1, 3000);
    assert_int_equal(director.choice.index, ROUTE_NONE);
    assert_true(director_pin(&director, ROUTE_NONE, 4000));
    assert_int_equal(director.choice.index, 0);
    /* It was left while it was fine: that is no failure. */
    assert_int_equal(director.hold[0].current_ms, 0);
    assert_int_equal(director.hold[1].current_ms, 10000);
    assert_int_equal(director.epoch, 4);
}

/* Time in which nobody watched counts neither for the hold nor for grace. */
static void test_a_process_that_stood_still(void **state)
{
    struct director_rules rules = sim_rules(FAILBACK_AUTO);
    struct director director;

    (void)state;
    start_two(&director, FAILBACK_AUTO);
    lose(&director, 0, 10000);
    regain(&director, 0, 20000);
    assert_false(director_stalled(&director, 10000, 31000));
    assert_int_equal(director.choice.index, 1);
    assert_int_equal(director.next_timer_ms, 40000);
    assert_true(director_tick(&director, 40000));

    director_init(&director, 2, &rules, 1000);
    director_result(&director, 1, CAUSE_NONE, 1010);
    assert_false(director_stalled(&director, 10000, 12000));
    assert_int_equal(director.choice.why, ROUTE_WAITING);
    assert_int_equal(director.next_timer_ms, 16000);
    assert_true(director_result(&director, 0, CAUSE_NONE, 12050));
    assert_int_equal(director.choice.index, 0);
    /* A stall long after grace does not bring it back. */
    assert_false(director_stalled(&director, 10000, 50000));
    assert_false(director.input.grace);
}

/* ---- simulated ---- */

/* The first backend answers its first check up to 300 ms later than the second. */
static enum health_cause check_slow_start(const struct simulation *sim, unsigned index, uint32_t *takes_ms)
{
    const uint32_t *starts_ms = sim->arg;

    *takes_ms = sim->director.health[index].state == HEALTH_UNKNOWN ? starts_ms[index] : 1;
    return CAUSE_NONE;
}

static unsigned cold_starts_won_by_the_first(uint64_t grace_ms)
{
    static struct simulation sim;
    struct director_rules rules = sim_rules(FAILBACK_STICKY);
    unsigned won = 0;

    rules.grace_ms = grace_ms;
    for (uint64_t seed = 0; seed < 200; seed++) {
        uint32_t fallback_ms = (uint32_t)(mix(seed) % 50);
        uint32_t starts_ms[] = {fallback_ms + (uint32_t)(mix(seed + 1000) % 301), fallback_ms};
        sim_init(&sim, 2, &rules, check_slow_start, starts_ms, seed);
        sim_run_until(&sim, 60000);
        assert_int_equal(sim.switches, 1);
        won += sim.director.choice.index == 0;
    }
    return won;
}

static void test_cold_start(void **state)
{
    unsigned without = cold_starts_won_by_the_first(0);

    (void)state;
    assert_int_equal(cold_starts_won_by_the_first(5000), 200);
    assert_in_range(without, 0, 20);
    print_message("# cold start: the first backend chosen 200 of 200 times; without grace %u\n", without);
}

enum { GONE_MS = 60000, BACK_MS = 120000 };

static enum health_cause check_restarted(const struct simulation *sim, unsigned index, uint32_t *takes_ms)
{
    *takes_ms = 1;
    return index == 0 && sim->now_ms >= GONE_MS && sim->now_ms < BACK_MS ? CAUSE_REFUSED : CAUSE_NONE;
}

static void test_failback_once_or_never(void **state)
{
    static const unsigned wanted[] = {[FAILBACK_AUTO] = 1, [FAILBACK_MANUAL] = 0, [FAILBACK_STICKY] = 0};
    static struct simulation sim;

    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++)
        for (enum failback failback = FAILBACK_AUTO; failback <= FAILBACK_STICKY; failback++) {
            struct director_rules rules = sim_rules(failback);
            sim_init(&sim, 2, &rules, check_restarted, NULL, seed);
            sim_run_until(&sim, BACK_MS - 1);
            assert_int_equal(sim.switches, 2);
            assert_in_range(sim.switched_ms[1], GONE_MS, GONE_MS + 560);
            sim_run_until(&sim, 2 * HOUR_MS);
            assert_int_equal(sim.switches - 2, wanted[failback]);
            if (failback == FAILBACK_AUTO)
                assert_int_equal(sim.switched_ms[2], sim.director.health[0].since_ms + 10000);
        }
}

/* The fallback fails for good after the first one came back: manual goes on to the third, sticky to the first. */
static void test_where_to_from_the_second_of_three(void **state)
{
    static const int wanted[] = {[FAILBACK_AUTO] = 0, [FAILBACK_MANUAL] = 2, [FAILBACK_STICKY] = 0};

    (void)state;
    for (enum failback failback = FAILBACK_AUTO; failback <= FAILBACK_STICKY; failback++) {
        struct director_rules rules = sim_rules(failback);
        struct director director;
        director_init(&director, 3, &rules, 1);
        for (unsigned i = 0; i < 3; i++)
            director_result(&director, i, CAUSE_NONE, 10);
        lose(&director, 0, 1000);
        assert_int_equal(director.choice.index, 1);
        regain(&director, 0, 2000);
        director_tick(&director, 60000);
        lose(&director, 1, 61000);
        assert_int_equal(director.choice.index, wanted[failback]);
    }
}

/* A reload: the chosen one moved, another one is new, one is gone. */
static void test_configuring_forgets_nothing(void **state)
{
    struct director_rules rules = sim_rules(FAILBACK_AUTO);
    struct director director;
    const int moved[] = {ROUTE_NONE, 1, 0}, gone[] = {ROUTE_NONE, 0};

    (void)state;
    start_two(&director, FAILBACK_AUTO);
    lose(&director, 0, 2000);
    assert_int_equal(director.choice.index, 1);
    assert_int_equal(director.epoch, 2);
    assert_false(director_configure(&director, 3, &rules, moved, 3000));
    assert_int_equal(director.choice.index, 1);
    assert_int_equal(director.epoch, 2);
    assert_int_equal(director.health[0].state, HEALTH_UNKNOWN);
    assert_int_equal(director.health[2].state, HEALTH_DOWN);
    assert_int_equal(director.hold[2].current_ms, 10000);
    assert_true(director_configure(&director, 2, &rules, gone, 4000));
    assert_int_equal(director.choice.index, ROUTE_NONE);
    assert_int_equal(director.choice.why, ROUTE_WAITING);
    assert_int_equal(director.epoch, 3);
    rules.pinned = 1;
    assert_false(director_configure(&director, 2, &rules, (const int[]){0, ROUTE_NONE}, 5000));
    assert_false(director_result(&director, 0, CAUSE_NONE, 5010));
    assert_true(director_result(&director, 1, CAUSE_NONE, 5020));
    assert_int_equal(director.choice.index, 1);
    assert_int_equal(director.choice.why, ROUTE_PINNED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grace_ends),
        cmocka_unit_test(test_configuring_forgets_nothing),
        cmocka_unit_test(test_a_hint_moves_nothing_but_the_next_check),
        cmocka_unit_test(test_failback_waits_for_the_hold),
        cmocka_unit_test(test_a_held_one_is_better_than_none),
        cmocka_unit_test(test_a_pin),
        cmocka_unit_test(test_a_process_that_stood_still),
        cmocka_unit_test(test_cold_start),
        cmocka_unit_test(test_failback_once_or_never),
        cmocka_unit_test(test_where_to_from_the_second_of_three),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
