/* What of a script's reply changes on its way to the client, and that all else does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "limiter/limit_verdict.h"
#include "protocol/reply.h"

static void turns(enum limit_shape shape, unsigned resp, const char *reply, enum limit_outcome outcome,
                  const char *want)
{
    size_t len = strlen(reply), room = limit_verdict_room(len);
    uint8_t *exact = malloc(len ? len : 1), *bytes = malloc(room);
    struct reply_writer w = {.bytes = bytes, .cap = room};

    assert_true(exact && bytes);
    memcpy(exact, reply, len);
    assert_int_equal(limit_verdict(shape, resp, exact, len, &w), outcome);
    assert_false(w.full);
    assert_int_equal(w.len, strlen(want));
    assert_memory_equal(bytes, want, w.len);
    free(exact);
    free(bytes);
}

static void passes(enum limit_shape shape, unsigned resp, const char *reply)
{
    turns(shape, resp, reply, LIMIT_PASS, "");
}

static void test_what_passes(void **state)
{
    static const char *const replies[] = {"*2\r\n:1\r\n:2\r\n",    "*0\r\n", "-ERR x\r\n",
                                          "-WRONGTYPE x\r\n",      ":5\r\n", "-RGUNAVAILX y\r\n",
                                          "$10\r\n-RGUNAVAIL\r\n", "",       "-"};
    (void)state;

    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        for (int shape = LIMIT_AS_IT_IS; shape <= LIMIT_INCREX_INTEGERS; shape++) {
            passes((enum limit_shape)shape, 2, replies[i]);
            passes((enum limit_shape)shape, 3, replies[i]);
        }
    }
    passes(LIMIT_AS_IT_IS, 2, "*2\r\n$1\r\n1\r\n:2\r\n");
    assert_false(limit_verdict_needs_all(LIMIT_AS_IT_IS));
    assert_true(limit_verdict_needs_all(LIMIT_INCREX_INTEGERS) && limit_verdict_needs_all(LIMIT_INCREX_FLOATS));
}

static void test_errors_that_prove_that_nothing_ran(void **state)
{
    (void)state;
    for (int shape = LIMIT_AS_IT_IS; shape <= LIMIT_TOLD; shape++) {
        turns((enum limit_shape)shape, 2, "-RGUNAVAIL too late\r\n", LIMIT_TOO_LATE, "");
        turns((enum limit_shape)shape, 3, "-NOSCRIPT No matching script. Please use EVAL.\r\n", LIMIT_NOT_LOADED, "");
    }
}

static void test_integers_beyond_doubles(void **state)
{
    (void)state;
    turns(LIMIT_INCREX_INTEGERS, 2, "*2\r\n$19\r\n9223372036854775807\r\n:0\r\n", LIMIT_CHANGED,
          "*2\r\n:9223372036854775807\r\n:0\r\n");
    turns(LIMIT_INCREX_INTEGERS, 3, "*2\r\n:-1\r\n$20\r\n-9223372036854775808\r\n", LIMIT_CHANGED,
          "*2\r\n:-1\r\n:-9223372036854775808\r\n");
}

static void test_floats(void **state)
{
    (void)state;
    passes(LIMIT_INCREX_FLOATS, 2, "*2\r\n$4\r\n1.75\r\n$4\r\n0.25\r\n");
    turns(LIMIT_INCREX_FLOATS, 3, "*2\r\n$4\r\n1.75\r\n$5\r\n-0.25\r\n", LIMIT_CHANGED, "*2\r\n,1.75\r\n,-0.25\r\n");
    turns(LIMIT_INCREX_FLOATS, 3, "*2\r\n$4\r\n0x10\r\n$1\r\n0\r\n", LIMIT_CHANGED, "*2\r\n,16\r\n,0\r\n");
    passes(LIMIT_INCREX_FLOATS, 3, "-ERR value is not a valid float\r\n");
}

static void test_what_the_caller_is_told(void **state)
{
    int64_t told[2];
    (void)state;

    turns(LIMIT_TOLD, 2, "*3\r\n:1\r\n:0\r\n:7\r\n", LIMIT_CHANGED, ":7\r\n");
    turns(LIMIT_TOLD, 2, "*3\r\n:1\r\n:0\r\n$-1\r\n", LIMIT_CHANGED, "$-1\r\n");
    turns(LIMIT_TOLD, 3, "*3\r\n:1\r\n:0\r\n,1.5\r\n", LIMIT_CHANGED, ",1.5\r\n");
    passes(LIMIT_TOLD, 2, "-LIMITED runs max=5 live=5\r\n");
    assert_int_equal(limit_told((const uint8_t *)"*3\r\n:12\r\n:3\r\n:7\r\n", 17, told), 13);
    assert_true(told[0] == 12 && told[1] == 3);
}

/* Not what the script says: passed on, and never read beyond its end. */
static void test_other_replies(void **state)
{
    static const char *const replies[] = {"*3\r\n:1\r\n:2\r\n:3\r\n",
                                          "*2\r\n:1\r\n",
                                          "*2\r\n:1\r\n$5\r\n1\r\n",
                                          "*2\r\n:1\r\n$-1\r\n",
                                          "*2\r\n:1\r\n$x\r\n1\r\n",
                                          "*2\r\n:1\r\n*0\r\n",
                                          "*2\r\n:1\r\n:2\r\n:3\r\n",
                                          "*2\r",
                                          "*2\r\n$9223372036854775807\r\n1\r\n:1\r\n",
                                          "*2\r\n$1\r\n1",
                                          "*2\r\n$1\r\n1\r",
                                          "*2\r\n$3\r\n1\r\n\r\n:1\r\n",
                                          "*2\r\n$0\r\n\r\n:1\r\n",
                                          "*2\r\n$1\r\nx\r\n:1\r\n",
                                          "*2\r\n$3\r\nnan\r\n:1\r\n"};
    (void)state;

    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        passes(LIMIT_INCREX_INTEGERS, 2, replies[i]);
        passes(LIMIT_INCREX_FLOATS, 3, replies[i]);
    }
    for (size_t i = 1; i < sizeof replies / sizeof replies[0]; i++)
        passes(LIMIT_TOLD, 2, replies[i]);
    passes(LIMIT_TOLD, 2, "*3\r\n:1\r\n");
    passes(LIMIT_TOLD, 2, "*3\r\n:1\r\n:1\r\n");
    passes(LIMIT_TOLD, 2, "*3\r\n:1\r\n$1\r\n1\r\n:1\r\n");
    passes(LIMIT_TOLD, 2, "*3\r\n:1\r\n:x\r\n:1\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_passes),
        cmocka_unit_test(test_errors_that_prove_that_nothing_ran),
        cmocka_unit_test(test_integers_beyond_doubles),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_what_the_caller_is_told),
        cmocka_unit_test(test_other_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
