/* What the monitor does about its own lateness, and that it never leaves a backend before the fence allows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/health/backend.h"
#include "proxy/health/monitor_parts.h"
#include "proxy/health/probe.h"
#include "proxy/health/snapshot.h"
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

/* --- a backend that falls silent while it is in use --- */

enum { CLOCK_AHEAD_US = 1000000 };

struct silence {
    struct loop loop;
    struct backend *backend;
    bool in_use;
    int64_t latest_us, left_us; /* the latest deadline of any call so far; when it was left */
    unsigned deadlines;         /* how many different ones */
};

/* As a worker would send a call now. */
static void send_call(struct silence *silence)
{
    int64_t deadline_us = fence_deadline_us(&silence->backend->fence, (uint64_t)clock_now_us() / 1000, 0);

    if (!deadline_us || deadline_us - CLOCK_AHEAD_US <= silence->latest_us)
        return;
    silence->latest_us = deadline_us - CLOCK_AHEAD_US;
    silence->deadlines++;
}

static void on_call(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    send_call(arg);
}

static void on_route(void *arg, struct snapshot *snapshot)
{
    struct silence *silence = arg;

    if (!silence->in_use)
        return;
    send_call(silence);
    if (snapshot->at[0].state != HEALTH_DOWN)
        return;
    silence->left_us = clock_now_us();
    silence->loop.stop = true;
}

/* The kernel takes connections, and nobody answers. */
static int listen_in_silence(unsigned *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void fall_silent(unsigned fall, uint32_t fast_ms, uint32_t timeout_ms)
{
    struct monitor_rules quick = rules;
    struct timeval often = {.tv_usec = 500};
    struct silence silence = {0};
    struct monitor *monitor;
    struct event *calls;
    char url[64];
    unsigned port;
    int fd = listen_in_silence(&port);

    quick.health = (struct health_rules){.fall = fall, .rise = 1, .interval_ms = 1, .fast_interval_ms = fast_ms};
    quick.timeout_ms = timeout_ms;
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u", port);
    silence.backend = backend_new("b", url);
    assert_true(loop_init(&silence.loop));
    monitor = monitor_new(&silence.loop, on_route, &silence);
    calls = event_new(silence.loop.base, -1, EV_PERSIST, on_call, &silence);
    monitor_configure(monitor, &quick, &silence.backend, 1);
    /* As after a check that passed. */
    probe_reset(monitor->watched[0]->probe);
    health_passed(&monitor->director.health[0], &quick.health, 1);
    fence_learn(&silence.backend->fence, clock_now_us() + CLOCK_AHEAD_US, clock_now_us());
    fence_idle(&silence.backend->fence);
    silence.in_use = true;
    send_call(&silence);
    event_add(calls, &often);
    event_active(monitor->watched[0]->due, EV_TIMEOUT, 0);
    loop_run(&silence.loop);

    assert_true(silence.latest_us <= silence.left_us);
    assert_in_range(silence.deadlines, 2, 1000000); /* that of the last question among them */
    assert_int_equal(fence_deadline_us(&silence.backend->fence, (uint64_t)clock_now_us() / 1000, 0), 0);
    event_free(calls);
    monitor_free(monitor);
    backend_unref(silence.backend);
    loop_finish(&silence.loop);
    close(fd);
}

static void test_no_call_may_run_once_a_silent_backend_was_left(void **state)
{
    (void)state;
    for (unsigned turn = 0; turn < 5; turn++) {
        fall_silent(3, 20, 10);
        fall_silent(2, 10, 23);
        fall_silent(4, 11, 11);
        fall_silent(1, 10, 15);
    }
}

/* --- timers that come before their time --- */

static void test_a_check_that_is_called_early_waits(void **state)
{
    struct backend *backend = backend_new("b", "unix:///nowhere/redis.sock");
    struct monitor *monitor;
    struct loop loop;
    uint64_t checked_ms;

    (void)state;
    assert_true(loop_init(&loop));
    monitor = monitor_new(&loop, ignore_route, NULL);
    monitor_configure(monitor, &rules, &backend, 1);
    checked_ms = monitor->watched[0]->checked_ms;
    usleep(2000);
    monitor->watched[0]->due_ms = checked_ms + LONG_AGO_MS;
    event_active(monitor->watched[0]->due, EV_TIMEOUT, 0);
    event_base_loop(loop.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    assert_int_equal(monitor->watched[0]->checked_ms, checked_ms);
    assert_true(event_pending(monitor->watched[0]->due, EV_TIMEOUT, NULL));
    monitor->watched[0]->due_ms = 1;
    event_active(monitor->watched[0]->due, EV_TIMEOUT, 0);
    event_base_loop(loop.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    assert_true(monitor->watched[0]->checked_ms > checked_ms);
    monitor_free(monitor);
    backend_unref(backend);
    loop_finish(&loop);
}

enum { LONG_TURN_US = 20000, LIMIT_MS = 40 };

struct late_turn {
    struct loop loop;
    struct probe *probe;
    int64_t began_us, ended_us;
};

/* The loop's timers count from the beginning of this turn. */
static void on_late_turn(evutil_socket_t fd, short what, void *arg)
{
    struct late_turn *turn = arg;

    (void)fd, (void)what;
    usleep(LONG_TURN_US);
    turn->began_us = clock_now_us();
    probe_start(turn->probe, &(struct probe_limits){.connect_ms = LIMIT_MS, .answer_ms = LIMIT_MS});
}

static void on_done(void *arg, const struct probe_result *result)
{
    struct late_turn *turn = arg;

    assert_int_equal(result->cause, CAUSE_TIMEOUT);
    turn->ended_us = clock_now_us();
    turn->loop.stop = true;
}

static void test_a_check_has_its_time_however_late_the_turn(void **state)
{
    unsigned port;
    int fd = listen_in_silence(&port), taken[4];
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons((uint16_t)port)};
    struct late_turn turn = {0};
    struct backend *backend;
    char url[64];

    (void)state;
    assert_int_equal(listen(fd, 0), 0); /* with these in the queue the next one gets no answer at all */
    for (int i = 0; i < 4; i++) {
        taken[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(taken[i], (struct sockaddr *)&address, sizeof(address));
    }
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u", port);
    backend = backend_new("b", url);
    assert_true(loop_init(&turn.loop));
    turn.probe = probe_new(&turn.loop, backend, on_done, &turn);
    event_base_once(turn.loop.base, -1, EV_TIMEOUT, on_late_turn, &turn, &(struct timeval){0});
    loop_run(&turn.loop);
    assert_in_range(turn.ended_us - turn.began_us, LIMIT_MS * 1000, 60 * 1000 * 1000);
    probe_free(turn.probe);
    backend_unref(backend);
    loop_finish(&turn.loop);
    for (int i = 0; i < 4; i++)
        close(taken[i]);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hint_met_after_standing_still_does_not_silence_those_to_come),
        cmocka_unit_test(test_no_call_may_run_once_a_silent_backend_was_left),
        cmocka_unit_test(test_a_check_that_is_called_early_waits),
        cmocka_unit_test(test_a_check_has_its_time_however_late_the_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
