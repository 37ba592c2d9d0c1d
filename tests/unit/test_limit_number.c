/* Numbers as Redis and as redis-cell read them, and as Redis prints floats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "limiter/number.h"

static void reads(bool (*read)(const uint8_t *, size_t, int64_t *), const char *text, int64_t want)
{
    int64_t n = 4711;

    assert_true(read((const uint8_t *)text, strlen(text), &n));
    assert_true(n == want);
}

static void refuses(bool (*read)(const uint8_t *, size_t, int64_t *), const char *text)
{
    int64_t n;

    if (read((const uint8_t *)text, strlen(text), &n))
        fail_msg("'%s' was read", text);
}

static void test_both_ways(void **state)
{
    static bool (*const readers[])(const uint8_t *, size_t, int64_t *) = {number_read, number_read_signed};
    static const char *const bad[] = {"",
                                      "-",
                                      "+",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "1e3",
                                      "0x1",
                                      "--1",
                                      "+-1",
                                      "1-1",
                                      "a",
                                      "-a",
                                      "9223372036854775808",
                                      "\t1",
                                      "1\n",
                                      "１",
                                      "-9223372036854775809",
                                      "18446744073709551617",
                                      "99999999999999999999999"};
    (void)state;

    for (int i = 0; i < 2; i++) {
        reads(readers[i], "0", 0);
        reads(readers[i], "7", 7);
        reads(readers[i], "-7", -7);
        reads(readers[i], "1000000000000000000", 1000000000000000000);
        reads(readers[i], "9223372036854775807", INT64_MAX);
        reads(readers[i], "-9223372036854775808", INT64_MIN);
        for (size_t n = 0; n < sizeof bad / sizeof bad[0]; n++)
            refuses(readers[i], bad[n]);
    }
    assert_false(number_read((const uint8_t *)"1\0", 2, &(int64_t){0}));
}

static void test_signs_and_zeros(void **state)
{
    (void)state;
    refuses(number_read, "+5");
    refuses(number_read, "05");
    refuses(number_read, "00");
    refuses(number_read, "-0");
    refuses(number_read, "-05");
    reads(number_read_signed, "+5", 5);
    reads(number_read_signed, "05", 5);
    reads(number_read_signed, "00", 0);
    reads(number_read_signed, "-0", 0);
    reads(number_read_signed, "-05", -5);
    reads(number_read_signed, "+0000000000000000000000000009223372036854775807", INT64_MAX);
}

static void prints(const char *text, const char *want)
{
    char printed[NUMBER_FLOAT_MAX];
    long double n;

    assert_true(number_read_float((const uint8_t *)text, strlen(text), &n));
    size_t len = number_print_float(printed, n);
    assert_int_equal(len, strlen(want));
    assert_memory_equal(printed, want, len);
}

static void test_floats(void **state)
{
    static const char *const bad[] = {"", " 1", "1 ", "x", "nan", "-nan", "1,5", "1.5.1", "\n1", "1e"};
    char longest[NUMBER_FLOAT_MAX], text[NUMBER_FLOAT_TEXT_MAX];
    long double n;
    (void)state;

    prints("1", "1");
    prints("-2.50", "-2.5");
    prints("0.1", "0.1");
    prints("1e3", "1000");
    prints("0x10", "16");
    prints("-0", "0");
    prints("-0.000000000000000000001", "0");
    prints("3.0000000000000000000000000000000000", "3");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(number_read_float((const uint8_t *)bad[i], strlen(bad[i]), &n));
    assert_true(number_read_float((const uint8_t *)"1e309", 5, &n) && isinf(n) && n > 0);
    assert_true(number_read_float((const uint8_t *)"-1e5000", 7, &n) && isinf(n) && n < 0);
    assert_true(number_read_float((const uint8_t *)"-inf", 4, &n) && isinf(n) && n < 0);
    assert_true(number_read_float((const uint8_t *)"-1.7976931348623157e308", 23, &n));
    assert_int_equal(number_print_float(longest, n), 310);
    memset(text, '1', sizeof text);
    assert_true(number_read_float((uint8_t *)text, sizeof text - 1, &n));
    assert_false(number_read_float((uint8_t *)text, sizeof text, &n));
    assert_false(number_read_float((const uint8_t *)"1\0", 2, &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_signs_and_zeros),
        cmocka_unit_test(test_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
