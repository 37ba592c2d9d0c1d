/*
 * The deadlines of calls: case by case, and by an adversary that makes a backend's checks fail as early as it can: no
 * call may run at or after the moment at which the backend is left, whatever its clock does within its bounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "limiter/limit_call.h"
#include "proxy/health/fence.h"
#include "proxy/health/state.h"
#include "route_case.h"

#define MS INT64_C(1000)
#define SECOND (1000 * MS)
#define CLOCK (INT64_C(1790000000) * SECOND) /* of the backend when ours is 0 */

static const struct health_rules rules = {.fall = 3, .rise = 2, .interval_ms = 1000, .fast_interval_ms = 200};
enum { TIMEOUT_MS = 500, NOW_MS = 60000, NOW = 60000 * 1000 };

/* Usable; its clock was read just now. */
static struct fence fence_in_use(const struct health_rules *by, int64_t learned_us)
{
    struct fence fence;

    fence_init(&fence);
    fence_set_rules(&fence, by, TIMEOUT_MS);
    fence_learn(&fence, CLOCK + learned_us, learned_us);
    fence_idle(&fence);
    return fence;
}

/* Of a call sent at NOW, as time from then on; the clocks' drift is on top of it. */
static int64_t given(const struct fence *fence, uint64_t most_ms)
{
    return fence_deadline_us(fence, NOW_MS, most_ms) - CLOCK - NOW;
}

static void assert_given(const struct fence *fence, int64_t us)
{
    int64_t found = given(fence, 0);

    assert_in_range(us - found, 0, 2 * MS); /* a thousandth of at most 1 s, and what is rounded */
}

static void test_idle(void **state)
{
    struct fence fence = fence_in_use(&rules, NOW);
    struct health_rules one = rules;

    (void)state;
    assert_given(&fence, 2 * 200 * MS);
    one.fall = 1;
    fence_set_rules(&fence, &one, TIMEOUT_MS);
    assert_given(&fence, TIMEOUT_MS * MS);
    one.fall = 2;
    fence_set_rules(&fence, &one, TIMEOUT_MS);
    assert_given(&fence, 200 * MS);
}

static void test_a_check_under_way(void **state)
{
    struct fence fence = fence_in_use(&rules, NOW);

    (void)state;
    fence_check_begins(&fence, 0, NOW - 100 * MS);
    assert_given(&fence, (2 * 200 - 100) * MS);
    fence_asked(&fence, NOW - 50 * MS);
    assert_given(&fence, (TIMEOUT_MS + 200 - 50) * MS);
    fence_asked(&fence, NOW); /* an answer came, and the next question went out */
    assert_given(&fence, (TIMEOUT_MS + 200) * MS);
    fence_idle(&fence);
    assert_given(&fence, 2 * 200 * MS);
}

static void test_a_short_timeout_takes_nothing_from_what_was_promised(void **state)
{
    struct fence fence = fence_in_use(&rules, NOW);

    (void)state;
    fence_set_rules(&fence, &rules, 10);
    fence_check_begins(&fence, 0, NOW);
    fence_asked(&fence, NOW);
    assert_given(&fence, 2 * 200 * MS);
}

static void test_suspect(void **state)
{
    struct fence fence = fence_in_use(&rules, NOW);

    (void)state;
    fence_check_failed(&fence, 1, NOW - 10 * MS);
    assert_given(&fence, (200 - 10) * MS);
    fence_check_begins(&fence, 1, NOW);
    assert_given(&fence, 200 * MS);
    fence_asked(&fence, NOW);
    assert_given(&fence, TIMEOUT_MS * MS);
    fence_check_failed(&fence, 2, NOW);
    assert_given(&fence, 0);
    fence_check_begins(&fence, 2, NOW - 300 * MS);
    assert_given(&fence, -300 * MS);
    fence_asked(&fence, NOW - 200 * MS);
    assert_given(&fence, (TIMEOUT_MS - 200) * MS);
}

static void test_no_longer_than_the_call_is_of_use(void **state)
{
    struct fence fence = fence_in_use(&rules, NOW);

    (void)state;
    assert_in_range(given(&fence, 150), 149 * MS, 150 * MS - 1);
    assert_in_range(given(&fence, 5000), 398 * MS, 400 * MS - 1);
    fence_check_failed(&fence, 2, NOW - SECOND);
    assert_true(given(&fence, 150) < -SECOND + 2 * MS);
}

static void test_left_and_not_known(void **state)
{
    struct fence fence;

    (void)state;
    fence_init(&fence);
    fence_set_rules(&fence, &rules, TIMEOUT_MS);
    assert_false(fence_knows(&fence));
    assert_int_equal(fence_deadline_us(&fence, NOW_MS, 0), 0); /* nobody has looked yet */
    fence_check_begins(&fence, 0, NOW);
    fence_asked(&fence, NOW);
    assert_int_equal(fence_deadline_us(&fence, NOW_MS, 0), 0);
    fence_idle(&fence);
    assert_int_equal(fence_deadline_us(&fence, NOW_MS, 100), LIMIT_NEVER_US);
    fence_learn(&fence, CLOCK + NOW, NOW);
    assert_true(fence_knows(&fence));
    assert_given(&fence, 400 * MS);
    fence_left(&fence);
    assert_false(fence_knows(&fence));
    assert_int_equal(fence_deadline_us(&fence, NOW_MS, 0), 0);
    fence_idle(&fence);
    fence_forget(&fence);
    assert_int_equal(fence_deadline_us(&fence, NOW_MS, 0), LIMIT_NEVER_US);
}

static void test_the_clock_is_followed_and_ages(void **state)
{
    struct fence fence = fence_in_use(&rules, NOW);

    (void)state;
    fence_learn(&fence, CLOCK + NOW + 3600 * SECOND, NOW);
    assert_given(&fence, 3600 * SECOND + 400 * MS);
    fence_learn(&fence, CLOCK + NOW - 3600 * SECOND, NOW);
    assert_given(&fence, -3600 * SECOND + 400 * MS);
    fence_learn(&fence, 5, NOW); /* a clock that was never set */
    assert_in_range(fence_deadline_us(&fence, NOW_MS, 0), 398 * MS, 400 * MS + 5);
    fence_check_failed(&fence, 2, NOW - SECOND);
    assert_int_equal(fence_deadline_us(&fence, NOW_MS, 0), 0);
    fence_learn(&fence, LIMIT_NEVER_US, NOW);
    fence_idle(&fence);
    assert_int_equal(fence_deadline_us(&fence, NOW_MS, 0), LIMIT_NEVER_US);
    fence = fence_in_use(&rules, NOW - 30 * SECOND);
    assert_in_range(given(&fence, 0), (400 - 31) * MS, (400 - 30) * MS);
}

/* --- the adversary --- */

/* The backend's checks in time, as the monitor makes them: the state machine's own pace, failures as early as can be.
 */
struct play {
    struct health_rules rules;
    uint32_t timeout_ms;
    struct fence fence;
    struct health health;
    int64_t now_us, began_us, drift_ppm;
    uint64_t seed;
};

static uint64_t draw(struct play *play, uint64_t below)
{
    play->seed = mix(play->seed);
    return play->seed % below;
}

/* Fast or slow by up to half of what the fence allows, since our 0. */
static int64_t clock_at(const struct play *play, int64_t now_us)
{
    return CLOCK + now_us + now_us / 1000000 * play->drift_ppm;
}

/* A check passes: its answer took a while, and the clock was read somewhere within. */
static void play_a_good_check(struct play *play)
{
    int64_t asked_us = play->now_us, read_us;

    fence_check_begins(&play->fence, play->health.fails, asked_us);
    fence_asked(&play->fence, asked_us);
    play->now_us += (int64_t)draw(play, play->timeout_ms * (uint64_t)MS) + 1;
    read_us = asked_us + (int64_t)draw(play, (uint64_t)(play->now_us - asked_us));
    fence_learn(&play->fence, clock_at(play, read_us), play->now_us);
    health_passed(&play->health, &play->rules, 0);
    fence_idle(&play->fence);
}

/* The deadline that a worker finds now must be over, on the backend's clock, when the backend is left at `left_us`. */
struct call {
    int64_t deadline_us;
};

static void send_call(struct play *play, struct call *calls, unsigned *n)
{
    calls[(*n)++].deadline_us = fence_deadline_us(&play->fence, (uint64_t)(play->now_us / MS), 0);
}

/* All that are missing fail; calls are sent at each moment at which what is promised changes, and after it. */
static unsigned play_the_end(struct play *play, struct call *calls)
{
    bool stands = draw(play, 2);
    unsigned n = 0;

    send_call(play, calls, &n);
    for (;;) {
        fence_check_begins(&play->fence, play->health.fails, play->now_us);
        play->began_us = play->now_us;
        send_call(play, calls, &n);
        if (stands || draw(play, 2)) { /* connected, then silent; or no way there */
            fence_asked(&play->fence, play->now_us);
            send_call(play, calls, &n);
            play->now_us += play->timeout_ms * MS;
            send_call(play, calls, &n);
        }
        stands = false;
        health_failed(&play->health, &play->rules, CAUSE_CONNECT, 0);
        if (play->health.state == HEALTH_DOWN)
            return n;
        fence_check_failed(&play->fence, play->health.fails, play->now_us);
        send_call(play, calls, &n);
        if (play->now_us < play->began_us + play->rules.fast_interval_ms * MS)
            play->now_us = play->began_us + play->rules.fast_interval_ms * MS;
        send_call(play, calls, &n);
    }
}

static void test_no_call_runs_after_its_backend_was_left(void **state)
{
    enum { PLAYS = 200000, MOST_CALLS = 64 };
    struct call calls[MOST_CALLS];
    int64_t closest_us = INT64_MAX;

    (void)state;
    for (uint64_t seed = 1; seed <= PLAYS; seed++) {
        struct play play = {.seed = seed, .rules = rules};
        unsigned n;

        play.rules.fall = 2 + (unsigned)draw(&play, 4);
        play.rules.fast_interval_ms = 10 + (uint32_t)draw(&play, 500);
        play.timeout_ms = 10 + (uint32_t)draw(&play, 500);
        play.drift_ppm = (int64_t)draw(&play, 1001) - 500;
        play.now_us = SECOND * (int64_t)(1 + draw(&play, 100));
        fence_init(&play.fence);
        fence_set_rules(&play.fence, &play.rules, play.timeout_ms);
        health_init(&play.health, 0);
        play_a_good_check(&play);
        play.now_us += (int64_t)draw(&play, 30 * (uint64_t)SECOND);
        n = play_the_end(&play, calls);
        assert_in_range(n, 1, MOST_CALLS);
        for (unsigned i = 0; i < n; i++) {
            int64_t left_us = clock_at(&play, play.now_us) - calls[i].deadline_us;
            assert_true(left_us >= 0);
            closest_us = left_us < closest_us ? left_us : closest_us;
        }
    }
    assert_true(closest_us < 50 * MS); /* else it proves little */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_a_check_under_way),
        cmocka_unit_test(test_a_short_timeout_takes_nothing_from_what_was_promised),
        cmocka_unit_test(test_suspect),
        cmocka_unit_test(test_no_longer_than_the_call_is_of_use),
        cmocka_unit_test(test_left_and_not_known),
        cmocka_unit_test(test_the_clock_is_followed_and_ages),
        cmocka_unit_test(test_no_call_runs_after_its_backend_was_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
