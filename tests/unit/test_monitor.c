/* What the monitor does about its own lateness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>

#include "proxy/health/backend.h"
#include "proxy/health/monitor_parts.h"
#include "proxy/net/loop.h"

enum { LONG_AGO_MS = 60000 };

static const struct monitor_rules rules = {
    .health = {.fall = 3, .rise = 1, .interval_ms = 1000, .fast_interval_ms = 1000},
    .hold = {.hold_ms = 1000, .hold_max_ms = 1000, .quiet_ms = 1000},
    .timeout_ms = 1000,
    .metered_interval_ms = 1000,
    .seed = 1,
    .expected = "",
};

static void ignore_route(void *arg, struct snapshot *snapshot)
{
    (void)arg, (void)snapshot;
}

static void test_a_hint_met_after_standing_still_does_not_silence_those_to_come(void **state)
{
    struct backend *backend = backend_new("b", "unix:///nowhere/redis.sock");
    struct monitor *monitor;
    struct loop loop;

    (void)state;
    assert_true(loop_init(&loop));
    monitor = monitor_new(&loop, ignore_route, NULL);
    assert_non_null(monitor);
    monitor_configure(monitor, &rules, &backend, 1);
    monitor->beat_ms -= LONG_AGO_MS;
    backend_hint(backend, CAUSE_LOST);
    loop.now_ms = 0;
    event_base_loop(loop.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    assert_int_equal(monitor->stalls, 1);
    assert_int_equal(atomic_load(&backend->hints), 0);
    monitor_free(monitor);
    backend_unref(backend);
    loop_finish(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hint_met_after_standing_still_does_not_silence_those_to_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
