/* Switches as they are counted and timed, over snapshots that a test makes up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/health/snapshot.h"
#include "proxy/watch/failovers.h"
#include "proxy/watch/histogram.h"

enum { A, B, BOTH };

struct world {
    struct failovers *failovers;
    struct backend *backends[BOTH];
    struct snapshot *last;
};

static int start(void **state)
{
    static struct world world;

    world =
        (struct world){.failovers = failovers_new(),
                       .backends = {backend_new("a", "redis://127.0.0.1:1"), backend_new("b", "redis://127.0.0.1:2")}};
    *state = &world;
    return !world.failovers;
}

static int stop(void **state)
{
    struct world *world = *state;

    snapshot_unref(world->last);
    failovers_free(world->failovers);
    for (int i = 0; i < BOTH; i++)
        backend_unref(world->backends[i]);
    return 0;
}

/* Health says: this one is chosen (ROUTE_NONE: none), the first `n` are known, `a` is in that state since then. */
static void say(struct world *world, int chosen, enum route_why why, unsigned n, enum health_state a, uint64_t since_ms,
                uint64_t now_ms)
{
    struct snapshot *snapshot = snapshot_new(n);

    for (unsigned i = 0; i < n; i++)
        snapshot->at[i] =
            (struct backend_view){.backend = backend_ref(world->backends[BOTH - n + i]), .state = HEALTH_UP};
    if (n == BOTH) {
        snapshot->at[A].state = a;
        snapshot->at[A].since_ms = since_ms;
    }
    snapshot->chosen = chosen == ROUTE_NONE ? NULL : world->backends[chosen];
    snapshot->why = why;
    failovers_note(world->failovers, world->last, snapshot, now_ms);
    snapshot_unref(world->last);
    world->last = snapshot;
}

static void expect_durations(const struct world *world, uint64_t n, uint64_t sum_ms)
{
    struct distribution durations = {0};

    distribution_add(&durations, failovers_durations(world->failovers));
    assert_int_equal(durations.count, n);
    assert_int_equal(durations.sum_us, sum_ms * 1000);
}

static void test_a_failover_is_timed_from_the_first_sign(void **state)
{
    struct world *world = *state;

    say(world, A, ROUTE_FIRST, BOTH, HEALTH_UP, 1000, 1000);
    say(world, A, ROUTE_FIRST, BOTH, HEALTH_SUSPECT, 2000, 2000);
    say(world, A, ROUTE_FIRST, BOTH, HEALTH_SUSPECT, 2000, 2100);
    expect_durations(world, 0, 0);
    say(world, B, ROUTE_FAILOVER, BOTH, HEALTH_DOWN, 2300, 2300);
    expect_durations(world, 1, 300);
    assert_int_equal(failovers_n(world->failovers, NULL, "a", ROUTE_FIRST), 1);
    assert_int_equal(failovers_n(world->failovers, "a", "b", ROUTE_FAILOVER), 1);
    say(world, A, ROUTE_FAILBACK, BOTH, HEALTH_UP, 5000, 9000);
    expect_durations(world, 1, 300);
    assert_int_equal(failovers_n(world->failovers, "b", "a", ROUTE_FAILBACK), 1);
    assert_int_equal(failovers_n(world->failovers, "b", "a", ROUTE_FAILOVER), 0);
}

static void test_trouble_that_passes_is_no_beginning(void **state)
{
    struct world *world = *state;

    say(world, A, ROUTE_FIRST, BOTH, HEALTH_SUSPECT, 1000, 1000);
    say(world, A, ROUTE_FIRST, BOTH, HEALTH_UP, 1500, 1500);
    say(world, B, ROUTE_FAILOVER, BOTH, HEALTH_DOWN, 8000, 8040);
    expect_durations(world, 1, 40);
}

static void test_time_without_any_counts(void **state)
{
    struct world *world = *state;

    say(world, A, ROUTE_FIRST, BOTH, HEALTH_UP, 1000, 1000);
    say(world, ROUTE_NONE, ROUTE_ALL_DOWN, BOTH, HEALTH_DOWN, 2000, 2000);
    say(world, ROUTE_NONE, ROUTE_ALL_DOWN, BOTH, HEALTH_WRONG, 3000, 3000);
    assert_int_equal(failovers_n(world->failovers, "a", NULL, ROUTE_ALL_DOWN), 1);
    say(world, A, ROUTE_FIRST, BOTH, HEALTH_UP, 4500, 4500);
    expect_durations(world, 1, 2500);
    assert_int_equal(failovers_n(world->failovers, NULL, "a", ROUTE_FIRST), 2);
}

static void test_what_a_reload_took_out_is_no_name_any_more(void **state)
{
    struct world *world = *state;

    say(world, A, ROUTE_FIRST, BOTH, HEALTH_UP, 1000, 1000);
    say(world, B, ROUTE_FIRST, 1, HEALTH_UP, 0, 2000);
    assert_int_equal(failovers_n(world->failovers, "a", "b", ROUTE_FIRST), 0);
    assert_int_equal(failovers_n(world->failovers, NULL, "b", ROUTE_FIRST), 1);
    expect_durations(world, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_failover_is_timed_from_the_first_sign, start, stop),
        cmocka_unit_test_setup_teardown(test_trouble_that_passes_is_no_beginning, start, stop),
        cmocka_unit_test_setup_teardown(test_time_without_any_counts, start, stop),
        cmocka_unit_test_setup_teardown(test_what_a_reload_took_out_is_no_name_any_more, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
