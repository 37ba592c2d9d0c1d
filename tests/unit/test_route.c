/* The choice of a backend: all inputs of three backends against the rules, its text form, and hold-downs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "proxy/health/route.h"
#include "route_case.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { N = 3, STATES = 5 };

static bool is_usable_index(const struct route_input *in, int i)
{
    return i != ROUTE_NONE && (in->state[i] == HEALTH_UP || in->state[i] == HEALTH_SUSPECT);
}

static bool is_free(const struct route_input *in, int i)
{
    return in->state[i] == HEALTH_UP && !in->held[i];
}

static void check_kept_or_failed_back(const struct route_input *in, struct route_choice out)
{
    int first = ROUTE_NONE;

    for (int i = in->current - 1; i >= 0; i--)
        if (is_free(in, i))
            first = i;
    if (in->failback != FAILBACK_AUTO || first == ROUTE_NONE) {
        assert_int_equal(out.index, in->current);
        assert_int_equal(out.why, ROUTE_KEPT);
    } else {
        assert_int_equal(out.index, first);
        assert_int_equal(out.why, ROUTE_FAILBACK);
    }
}

/* 0 is best; the order among equals is that of the configuration, or the one from behind the current one. */
static int badness(const struct route_input *in, int i)
{
    int place = in->failback == FAILBACK_MANUAL && in->current != ROUTE_NONE && i <= in->current ? N : 0;
    int kind = is_free(in, i) ? 0 : in->state[i] == HEALTH_UP ? 1 : in->state[i] == HEALTH_SUSPECT ? 2 : 3;

    return kind * 100 + place + i;
}

static void check_new(const struct route_input *in, struct route_choice out)
{
    int best = 0;
    bool waits = false;

    for (int i = 1; i < N; i++)
        if (badness(in, i) < badness(in, best))
            best = i;
    if (!is_usable_index(in, best))
        best = ROUTE_NONE;
    for (int i = 0; i < (best == ROUTE_NONE ? N : best); i++)
        waits = waits || in->state[i] == HEALTH_UNKNOWN;
    if (in->grace && in->current == ROUTE_NONE && waits) {
        assert_int_equal(out.index, ROUTE_NONE);
        assert_int_equal(out.why, ROUTE_WAITING);
        return;
    }
    assert_int_equal(out.index, best);
    assert_int_equal(out.why, best == ROUTE_NONE          ? ROUTE_ALL_DOWN
                              : in->current == ROUTE_NONE ? ROUTE_FIRST
                                                          : ROUTE_FAILOVER);
}

static void check_choice(const struct route_input *in, struct route_choice out)
{
    assert_true(out.index == ROUTE_NONE || is_usable_index(in, out.index));
    if (in->pinned != ROUTE_NONE) {
        assert_int_equal(out.index, is_usable_index(in, in->pinned) ? in->pinned : ROUTE_NONE);
        assert_int_equal(out.why, out.index == ROUTE_NONE ? ROUTE_ALL_DOWN : ROUTE_PINNED);
    } else if (is_usable_index(in, in->current)) {
        check_kept_or_failed_back(in, out);
    } else {
        check_new(in, out);
    }
}

/* Chosen once more with other bytes where no backend is: nothing but the input decides. */
static void check_determined(const struct route_input *in, struct route_choice out)
{
    struct route_input dirty = *in;

    memset(dirty.state + in->n, 1, sizeof(dirty.state[0]) * (ROUTE_BACKENDS_MAX - in->n));
    memset(dirty.held + in->n, 0, ROUTE_BACKENDS_MAX - in->n);
    assert_int_equal(route_choose(&dirty).index, out.index);
    assert_int_equal(route_choose(&dirty).why, out.why);
}

static void check_text(const struct route_input *in, struct route_choice out)
{
    char text[ROUTE_TEXT_LEN], again[ROUTE_TEXT_LEN], error[128];
    struct route_input read_in;
    struct route_choice read_out;

    assert_in_range(route_format(text, sizeof(text), in, out), 1, sizeof(text) - 1);
    if (!route_parse(text, &read_in, &read_out, error, sizeof(error)))
        fail_msg("%s: %s", text, error);
    assert_int_equal(read_out.index, out.index);
    assert_int_equal(read_out.why, out.why);
    route_format(again, sizeof(again), &read_in, route_choose(&read_in));
    assert_string_equal(text, again);
}

static unsigned check_states(struct route_input in)
{
    unsigned n = 0;

    for (in.current = ROUTE_NONE; in.current < N; in.current++)
        for (in.pinned = ROUTE_NONE; in.pinned < N; in.pinned++)
            for (in.failback = FAILBACK_AUTO; in.failback <= FAILBACK_STICKY; in.failback++)
                for (int grace = 0; grace < 2; grace++, n++) {
                    in.grace = grace;
                    struct route_choice out = route_choose(&in);
                    check_choice(&in, out);
                    check_determined(&in, out);
                    check_text(&in, out);
                }
    return n;
}

static void test_every_input_of_three_backends(void **state)
{
    unsigned n = 0;

    (void)state;
    for (unsigned code = 0; code < STATES * STATES * STATES; code++)
        for (unsigned held = 0; held < 1 << N; held++) {
            struct route_input in = {
                .n = N,
                .state = {(enum health_state)(code % STATES), (enum health_state)(code / STATES % STATES),
                          (enum health_state)(code / STATES / STATES)},
                .held = {held & 1, held & 2, held & 4},
            };
            n += check_states(in);
        }
    assert_int_equal(n, 96000);
}

static void test_no_backend_at_all(void **state)
{
    struct route_input in = {.n = 0, .current = ROUTE_NONE, .pinned = ROUTE_NONE, .grace = true};
    struct route_choice out = route_choose(&in);

    (void)state;
    assert_int_equal(out.index, ROUTE_NONE);
    assert_int_equal(out.why, ROUTE_ALL_DOWN);
    check_text(&in, out);
}

/* ---- text ---- */

static const char example[] =
    "in=up,down(held),unknown current=1 pinned=none failback=auto grace=no out=0 why=failover";

static void test_the_longest_line_fits(void **state)
{
    struct route_input in = {.n = ROUTE_BACKENDS_MAX, .current = 31, .pinned = 31, .failback = FAILBACK_MANUAL};
    char text[ROUTE_TEXT_LEN], cut[16];

    (void)state;
    for (unsigned i = 0; i < in.n; i++) {
        in.state[i] = HEALTH_SUSPECT;
        in.held[i] = true;
    }
    int len = route_format(text, sizeof(text), &in, (struct route_choice){ROUTE_NONE, ROUTE_ALL_DOWN});
    assert_in_range(len, 450, sizeof(text) - 1);
    assert_int_equal(len, strlen(text));
    assert_int_equal(route_format(cut, sizeof(cut), &in, (struct route_choice){ROUTE_NONE, ROUTE_ALL_DOWN}), len);
    assert_int_equal(strlen(cut), sizeof(cut) - 1);
    assert_memory_equal(cut, text, sizeof(cut) - 1);
    assert_int_equal(route_format(NULL, 0, &in, (struct route_choice){ROUTE_NONE, ROUTE_ALL_DOWN}), len);
}

static void test_what_is_no_decision(void **state)
{
    static const struct {
        const char *text, *error;
    } bad[] = {
        {"", "in= is expected at \"\""},
        {"in=", "a state is expected at \"\""},
        {"in=up,,up current=0", "a state is expected at \",up current=0\""},
        {"in=upp current=0", " current= is expected at \"p current=0\""},
        {"in=up(hold) current=0", " current= is expected at \"(hold) current=0\""},
        {"in=up current=1 pinned=none", "none or the number of a backend is expected at \"1 pinned=none\""},
        {"in=up current=-1 pinned=none", "none or the number of a backend is expected at \"-1 pinned=none\""},
        {"in=up current=00 pinned=none", "none or the number of a backend is expected at \"00 pinned=none\""},
        {"in=up current= 0 pinned=none", "none or the number of a backend is expected at \" 0 pinned=none\""},
        {"in=up current=99999999999999999999 p",
         "none or the number of a backend is expected at \"99999999999999999999 p\""},
        {"in=up current=0  pinned=none", " pinned= is expected at \"  pinned=none\""},
        {"in=up current=0 pinned=none failback=Auto", "auto, manual or sticky is expected at \"Auto\""},
        {"in=up current=0 pinned=none failback=auto grace=1", "yes or no is expected at \"1\""},
        {"in=up current=0 pinned=none failback=auto grace=no out=0 why=fun", "a reason is expected at \"fun\""},
        {"in=up current=0 pinned=none failback=auto grace=no out=0 why=kept ", "the end is expected at \" \""},
    };
    struct route_input in;
    struct route_choice out;
    char error[128];

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(route_parse(bad[i].text, &in, &out, error, sizeof(error)));
        assert_string_equal(error, bad[i].error);
    }
}

static void test_too_many_backends(void **state)
{
    struct route_input in;
    struct route_choice out;
    char text[ROUTE_TEXT_LEN] = "in=up", error[128];

    (void)state;
    for (int i = 0; i < ROUTE_BACKENDS_MAX; i++)
        strcat(text, ",up");
    assert_false(route_parse(text, &in, &out, error, sizeof(error)));
    assert_string_equal(error, "the end of so many backends is expected at \"up\"");
}

/* Whatever one changed byte makes of a line: refused, or read as exactly that. */
static void test_every_changed_byte(void **state)
{
    struct route_input in;
    struct route_choice out;
    char text[sizeof(example)], again[ROUTE_TEXT_LEN], error[128];
    unsigned accepted = 0;

    (void)state;
    for (size_t at = 0; example[at]; at++)
        for (int byte = 0; byte < 256; byte++) {
            memcpy(text, example, sizeof(text));
            text[at] = (char)byte;
            if (!route_parse(text, &in, &out, error, sizeof(error)))
                continue;
            accepted++;
            route_format(again, sizeof(again), &in, out);
            assert_string_equal(again, text);
        }
    assert_in_range(accepted, strlen(example), strlen(example) + 10);
}

/* ---- the same everywhere ---- */

enum { VECTORS = 1000000, THREADS_MAX = 8 };

struct share {
    unsigned first, step;
    unsigned different;
    uint64_t digest; /* does not depend on the order */
};

static void *replay_share(void *arg)
{
    struct share *share = arg;
    char text[ROUTE_TEXT_LEN], error[128];

    for (unsigned i = share->first; i < VECTORS; i += share->step) {
        struct route_input in = random_input(i), read_in;
        struct route_choice out = route_choose(&in), read_out, again = {ROUTE_NONE, ROUTE_ALL_DOWN};
        route_format(text, sizeof(text), &in, out);
        bool same = route_parse(text, &read_in, &read_out, error, sizeof(error));
        if (same)
            again = route_choose(&read_in);
        share->different += !same || again.index != out.index || again.why != out.why || read_out.index != out.index ||
                            read_out.why != out.why;
        share->digest ^= mix((uint64_t)i << 16 | (uint64_t)(out.index + 1) << 8 | (uint64_t)out.why);
    }
    return NULL;
}

static uint64_t replay_on(unsigned n)
{
    pthread_t threads[THREADS_MAX];
    struct share shares[THREADS_MAX];
    uint64_t digest = 0;

    for (unsigned i = 0; i < n; i++) {
        shares[i] = (struct share){.first = i, .step = n};
        assert_int_equal(pthread_create(&threads[i], NULL, replay_share, &shares[i]), 0);
    }
    for (unsigned i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(shares[i].different, 0);
        digest ^= shares[i].digest;
    }
    return digest;
}

static void test_a_million_vectors_on_many_threads(void **state)
{
    uint64_t alone = replay_on(1);

    (void)state;
    for (unsigned n = 2; n <= THREADS_MAX; n *= 2)
        assert_true(replay_on(n) == alone);
    print_message("# %d vectors replayed on 1, 2, 4 and 8 threads: all the same\n", VECTORS);
}

/* ---- hold-downs ---- */

static const struct hold_rules hold_rules = {.hold_ms = 10000, .hold_max_ms = 600000, .quiet_ms = 3600000};

static void test_a_hold_doubles_and_a_quiet_hour_resets_it(void **state)
{
    static const uint64_t wanted[] = {10000, 20000, 40000, 80000, 160000, 320000, 600000, 600000};
    struct hold hold = {0};
    uint64_t now_ms = 1;

    (void)state;
    for (size_t i = 0; i < COUNT(wanted); i++, now_ms += hold_rules.quiet_ms - 1) {
        hold_failed(&hold, &hold_rules, now_ms);
        assert_int_equal(hold.current_ms, wanted[i]);
    }
    hold_failed(&hold, &hold_rules, hold.last_failure_ms + hold_rules.quiet_ms);
    assert_int_equal(hold.current_ms, 10000);
}

static void test_a_hold_runs_while_up(void **state)
{
    struct health health = {.state = HEALTH_UP, .since_ms = 500};
    struct hold hold = {0};
    uint64_t until_ms = 0;

    (void)state;
    assert_false(hold_is_on(&hold, &health, 500, &until_ms));
    hold_failed(&hold, &hold_rules, 100);
    assert_true(hold_is_on(&hold, &health, 500, &until_ms));
    assert_int_equal(until_ms, 10500);
    assert_true(hold_is_on(&hold, &health, 10499, &until_ms));
    assert_false(hold_is_on(&hold, &health, 10500, &until_ms));
    health.state = HEALTH_DOWN;
    assert_false(hold_is_on(&hold, &health, 600, &until_ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_input_of_three_backends),
        cmocka_unit_test(test_no_backend_at_all),
        cmocka_unit_test(test_the_longest_line_fits),
        cmocka_unit_test(test_what_is_no_decision),
        cmocka_unit_test(test_too_many_backends),
        cmocka_unit_test(test_every_changed_byte),
        cmocka_unit_test(test_a_million_vectors_on_many_threads),
        cmocka_unit_test(test_a_hold_doubles_and_a_quiet_hour_resets_it),
        cmocka_unit_test(test_a_hold_runs_while_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
