/* Replies while no backend can decide: exact bytes of every kind under each policy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "limiter/down_reply.h"
#include "limiter/limit_reply.h"
#include "protocol/reply.h"
#include "protocol/resp.h"

static uint8_t bytes[512];

/* Whole, well-formed, and these bytes. */
static void is_reply(const struct reply_writer *w, const char *want)
{
    struct reply_scan scan = {0};

    assert_false(w->full);
    assert_int_equal(reply_scan(&scan, w->bytes, w->len, &reply_limits_default), RESP_DONE);
    assert_int_equal(scan.pos, w->len);
    assert_int_equal(w->len, strlen(want));
    assert_memory_equal(w->bytes, want, w->len);
}

static void down(struct down_call call, bool allow, const char *want)
{
    struct reply_writer w = {.bytes = bytes, .cap = sizeof bytes};

    down_reply(&w, &call, allow, 1500);
    is_reply(&w, want);
}

static void test_limit(void **state)
{
    struct down_call call = {.kind = DOWN_LIMIT, .limit = 20, .cost = 3};

    (void)state;
    down(call, false, "*8\r\n:0\r\n:20\r\n:0\r\n:1500\r\n:1500\r\n:1500\r\n:0\r\n:4\r\n");
    down(call, true, "*8\r\n:1\r\n:20\r\n:17\r\n:-1\r\n:0\r\n:0\r\n:0\r\n:5\r\n");
    call.cost = 20;
    down(call, true, "*8\r\n:1\r\n:20\r\n:0\r\n:-1\r\n:0\r\n:0\r\n:0\r\n:5\r\n");
    call.cost = 21;
    down(call, false, "*8\r\n:0\r\n:20\r\n:0\r\n:-2\r\n:0\r\n:0\r\n:0\r\n:3\r\n");
    down(call, true, "*8\r\n:0\r\n:20\r\n:0\r\n:-2\r\n:0\r\n:0\r\n:0\r\n:3\r\n");
}

static void test_throttle(void **state)
{
    struct down_call call = {.kind = DOWN_THROTTLE, .limit = 16, .cost = 1};

    (void)state;
    down(call, false, "*5\r\n:1\r\n:16\r\n:0\r\n:2\r\n:2\r\n");
    down(call, true, "*5\r\n:0\r\n:16\r\n:15\r\n:-1\r\n:0\r\n");
    call.cost = 17;
    down(call, true, "*5\r\n:1\r\n:16\r\n:0\r\n:-1\r\n:0\r\n");
    call.cost = -4; /* a refund that is lost must not seem to have made room beyond the limit */
    down(call, true, "*5\r\n:0\r\n:16\r\n:16\r\n:-1\r\n:0\r\n");
}

static void test_sem(void **state)
{
    struct down_call call = {.kind = DOWN_SEM, .limit = 5, .cost = 1, .lease_ms = 600000};

    (void)state;
    down(call, false, "*10\r\n:0\r\n:5\r\n:5\r\n:0\r\n:0\r\n:-1\r\n:0\r\n:1500\r\n:-1\r\n:4\r\n");
    down(call, true, "*10\r\n:1\r\n:1\r\n:5\r\n:600000\r\n:0\r\n:-1\r\n:0\r\n:-1\r\n:-1\r\n:5\r\n");
    call.cost = 6;
    down(call, true, "*10\r\n:0\r\n:5\r\n:5\r\n:0\r\n:0\r\n:-1\r\n:0\r\n:-2\r\n:-1\r\n:3\r\n");
}

static void test_error(void **state)
{
    static const char unavailable[] = "-RGUNAVAIL no backend is usable; nothing was sent, safe to retry\r\n";

    (void)state;
    down((struct down_call){.kind = DOWN_ERROR}, false, unavailable);
    down((struct down_call){.kind = DOWN_ERROR}, true, unavailable);
}

static void multi(const struct down_call *calls, size_t n, bool allow, const char *want)
{
    struct reply_writer w = {.bytes = bytes, .cap = sizeof bytes};

    down_reply_multi(&w, calls, n, allow, 70);
    is_reply(&w, want);
}

static void test_multi(void **state)
{
    struct down_call calls[] = {{.kind = DOWN_LIMIT, .limit = 2, .cost = 1},
                                {.kind = DOWN_LIMIT, .limit = 3, .cost = 1}};

    (void)state;
    multi(calls, 2, true,
          "*4\r\n:1\r\n:-1\r\n:-1\r\n*2\r\n*8\r\n:1\r\n:2\r\n:1\r\n:-1\r\n:0\r\n:0\r\n:0\r\n:5\r\n"
          "*8\r\n:1\r\n:3\r\n:2\r\n:-1\r\n:0\r\n:0\r\n:0\r\n:5\r\n");
    multi(calls, 2, false,
          "*4\r\n:0\r\n:0\r\n:70\r\n*2\r\n*8\r\n:0\r\n:2\r\n:0\r\n:70\r\n:70\r\n:70\r\n:0\r\n:4\r\n"
          "*8\r\n:0\r\n:3\r\n:0\r\n:70\r\n:70\r\n:70\r\n:0\r\n:4\r\n");
    calls[1].cost = 4; /* never admitted binds before denied for now */
    multi(calls, 2, false,
          "*4\r\n:0\r\n:1\r\n:-2\r\n*2\r\n*8\r\n:0\r\n:2\r\n:0\r\n:70\r\n:70\r\n:70\r\n:0\r\n:4\r\n"
          "*8\r\n:0\r\n:3\r\n:0\r\n:-2\r\n:0\r\n:0\r\n:0\r\n:3\r\n");
    multi(calls, 2, true,
          "*4\r\n:0\r\n:1\r\n:-2\r\n*2\r\n*8\r\n:1\r\n:2\r\n:1\r\n:-1\r\n:0\r\n:0\r\n:0\r\n:5\r\n"
          "*8\r\n:0\r\n:3\r\n:0\r\n:-2\r\n:0\r\n:0\r\n:0\r\n:3\r\n");
    calls[0].cost = 3; /* the first of them does */
    multi(calls, 2, true,
          "*4\r\n:0\r\n:0\r\n:-2\r\n*2\r\n*8\r\n:0\r\n:2\r\n:0\r\n:-2\r\n:0\r\n:0\r\n:0\r\n:3\r\n"
          "*8\r\n:0\r\n:3\r\n:0\r\n:-2\r\n:0\r\n:0\r\n:0\r\n:3\r\n");
}

static void test_to_throttle(void **state)
{
    static const struct {
        int64_t limit[LIMIT_FIELDS], throttle[THROTTLE_FIELDS];
    } cases[] = {
        {{1, 5, 4, -1, 1000, 1, 1, 9}, {0, 5, 4, -1, 1}},
        {{0, 5, 0, 1, 1001, 1, 0, 9}, {1, 5, 0, 1, 2}},
        {{0, 5, 0, 2000, 999, 1, 0, 9}, {1, 5, 0, 2, 1}},
        {{0, 5, 3, -2, 0, 0, 0, 3}, {1, 5, 3, -1, 0}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t throttle[THROTTLE_FIELDS];
        limit_reply_to_throttle(cases[i].limit, throttle);
        assert_memory_equal(throttle, cases[i].throttle, sizeof throttle);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit), cmocka_unit_test(test_throttle), cmocka_unit_test(test_sem),
        cmocka_unit_test(test_error), cmocka_unit_test(test_multi),    cmocka_unit_test(test_to_throttle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
