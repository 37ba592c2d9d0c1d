/* CL.THROTTLE: redis-cell's arithmetic in 64 bits and its error texts. */
#include "limit_case.h"

#define CELL "-Cell error: Store error: "
#define ZERO_RATE CELL "Zero rates are not supported"
#define BAD(arg) CELL "Couldn't parse as integer: " arg
#define USAGE CELL "Usage: cl.throttle <key> <max_burst> <count per period> <period> [<quantity>]"

static void test_arguments(void **state)
{
    (void)state;
    becomes("CL.THROTTLE k 4 1 1", "cl_throttle | k | 5 5 0 1 0 1000000 1000 1");
    becomes("cl.throttle k 15 30 60 2", "cl_throttle | k | 16 32 0 4 0 2000000 1000 1");
    becomes("CL.THROTTLE k 0 3 1 1", "cl_throttle | k | 1 0 333333333 0 333333333 333333 1000 1");
    becomes("CL.THROTTLE k 0 7000 1", "cl_throttle | k | 1 0 142857 0 142857 142 1000 1");
    becomes("CL.THROTTLE k 9 1000001 1", "cl_throttle | k | 10 0 9990 0 999 999 1 1");
    becomes("CL.THROTTLE k 0 1000000000 1", "cl_throttle | k | 1 0 1 0 1 1 1 1");
    becomes("CL.THROTTLE k +4 01 +1 -2", "cl_throttle | k | 5 5 0 -2 0 1000000 1000 1");
    becomes("CL.THROTTLE k 4 2 3 -1", "cl_throttle | k | 5 7 500000000 -2 500000000 1500000 1000 1");
    becomes("CL.THROTTLE k 4 1 1 0", "cl_throttle | k | 5 5 0 0 0 1000000 1000 1");
    assert_true(call.repeatable);
    becomes("CL.THROTTLE  0 1 1", "cl_throttle |  | 1 1 0 1 0 1000000 1000 1");
    assert_false(call.repeatable);
    assert_int_equal(call.shape, LIMIT_AS_IT_IS);
    becomes("CL.THROTTLE k -1 1 1", "cl_throttle | k | 0 0 0 1 0 1000000 1000 1");
    becomes("CL.THROTTLE k -2 1 1", "cl_throttle | k | -1 -1 0 1 0 1000000 1000 1");
    becomes("CL.THROTTLE k 0 -1 -1", "cl_throttle | k | 1 1 0 1 0 1000000 1000 1");
    settings.throttle_exact = true;
    becomes("CL.THROTTLE k 4 1 1", "cl_throttle | k | 5 5 0 1 0 1000000 1000 1000000");
    settings.throttle_exact = false;
}

static void test_errors(void **state)
{
    (void)state;
    becomes("CL.THROTTLE", USAGE);
    becomes("CL.THROTTLE k 1 1", USAGE);
    becomes("CL.THROTTLE k 1 1 1 1 1", USAGE);
    becomes("CL.THROTTLE k x y z q", BAD("x"));
    becomes("CL.THROTTLE k 1 y z q", BAD("y"));
    becomes("CL.THROTTLE k 1 1 z q", BAD("z"));
    becomes("CL.THROTTLE k 1 1 1 q", BAD("q"));
    becomes("CL.THROTTLE k 1 1 1 ", BAD(""));
    becomes("CL.THROTTLE k 1.5 1 1", BAD("1.5"));
    becomes("CL.THROTTLE k 9223372036854775808 1 1", BAD("9223372036854775808"));
    becomes("CL.THROTTLE k 0 0 60", ZERO_RATE);
    becomes("CL.THROTTLE k 1 5 0", ZERO_RATE);
    becomes("CL.THROTTLE k 1 2000000000 1", ZERO_RATE);
    becomes("CL.THROTTLE k 1 -5 60", ZERO_RATE);
    becomes("CL.THROTTLE k 1 5 -60", ZERO_RATE);
    becomes("CL.THROTTLE k 0 0 9223372036854775807", OUT_OF_RANGE);
}

static void test_the_edges_of_64_bits(void **state)
{
    (void)state;
    becomes("CL.THROTTLE k 9223372036854775807 1 1", OUT_OF_RANGE);
    becomes("CL.THROTTLE k -9223372036854775808 1 1", OUT_OF_RANGE);
    becomes("CL.THROTTLE k 0 1 9223372037", OUT_OF_RANGE);
    becomes("CL.THROTTLE k 0 1 9223372036", "cl_throttle | k | 1 9223372036 0 9223372036 0 9223372036000000 1000 1");
    becomes("CL.THROTTLE k 1 1 9223372036", OUT_OF_RANGE);
    becomes("CL.THROTTLE k 0 1 9223372036 2", OUT_OF_RANGE);
    becomes("CL.THROTTLE k 0 1 1 9223372036", "cl_throttle | k | 1 1 0 9223372036 0 1000000 1000 1");
    becomes("CL.THROTTLE k 0 1 1 9223372037", OUT_OF_RANGE);
    becomes("CL.THROTTLE k 0 1 1 -9223372037", OUT_OF_RANGE);
    becomes("CL.THROTTLE k 0 1000000000 1 9223372036854775807", "cl_throttle | k | 1 0 1 9223372036 854775807 1 1 1");
    becomes("CL.THROTTLE k 0 1000000000 1 -9223372036854775808", "cl_throttle | k | 1 0 1 -9223372037 145224192 1 1 1");
    becomes("CL.THROTTLE k 9007199254740990 1000000000 1",
            "cl_throttle | k | 9007199254740991 9007199 254740991 0 1 1 1 1");
    becomes("CL.THROTTLE k 9007199254740991 1000000000 1", OUT_OF_RANGE);
    becomes("CL.THROTTLE k 0 9223372036854775807 9223372036", ZERO_RATE);
    becomes("CL.THROTTLE k 0 -9223372036854775808 1", ZERO_RATE);
}

/* The text quotes the argument: never beyond its room, and without what would end it. */
static void test_long_and_binary_arguments(void **state)
{
    static char large[20000];
    (void)state;

    uint32_t argc = split("CL.THROTTLE k x 1 1");
    words[2] = (struct limit_slice){(const uint8_t *)"a\0b", 3};
    assert_false(parse_words(argc));
    assert_string_equal(call.error, "Cell error: Store error: Couldn't parse as integer: a b");
    memset(large, 'x', sizeof large);
    words[2] = (struct limit_slice){(uint8_t *)large, sizeof large};
    assert_false(parse_words(argc));
    assert_int_equal(strlen(call.error), LIMIT_ERROR_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_the_edges_of_64_bits),
        cmocka_unit_test(test_long_and_binary_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
