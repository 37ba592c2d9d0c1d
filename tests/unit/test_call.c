/* Arguments of a command: by number, as words in any case, and as integers exactly as a server reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "proxy/flow/client.h"
#include "scan_feed.h"

static bool number_of(const char *text, size_t len, int64_t *number)
{
    uint8_t *copy = exact_copy((const uint8_t *)text, len);
    bool is_number = arg_number(copy, len, number);
    free(copy);
    return is_number;
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        int64_t number;
    } good[] = {
        {"0", 0},
        {"1", 1},
        {"-1", -1},
        {"9", 9},
        {"10", 10},
        {"-10", -10},
        {"2147483647", INT32_MAX},
        {"-2147483648", INT32_MIN},
        {"4294967296", 4294967296},
        {"1000000000000000000", 1000000000000000000},
        {"9223372036854775799", INT64_MAX - 8},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775807", -INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t number = 99;
        assert_true(number_of(good[i].text, strlen(good[i].text), &number));
        assert_true(number == good[i].number);
    }
}

static void test_no_numbers(void **state)
{
    static const char *const bad[] = {
        "",
        "-",
        "+",
        "+1",
        "-0",
        "00",
        "01",
        "-01",
        "007",
        " 1",
        "1 ",
        "1\n",
        "--1",
        "-+1",
        "1-",
        "1.0",
        "1e3",
        "0x10",
        "a",
        "1a",
        "/",
        ":",
        "9223372036854775808",
        "-9223372036854775809",
        "9999999999999999999",
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551617",
        "-18446744073709551615",
        "92233720368547758070",
        "99999999999999999999",
        "340282366920938463463374607431768211457",
    };
    int64_t number = 99;
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(number_of(bad[i], strlen(bad[i]), &number));
        assert_int_equal(number, 99);
    }
    assert_false(number_of("1\0", 2, &number));
    assert_false(number_of("\0", 1, &number));
    assert_true(number_of("123", 2, &number)); /* what lies behind is not looked at */
    assert_int_equal(number, 12);
}

static void test_words(void **state)
{
    const uint8_t *arg = (const uint8_t *)"sKiPMe";
    (void)state;

    assert_true(arg_is(arg, 6, "SKIPME"));
    assert_true(arg_is(arg, 4, "SKIP"));
    assert_true(arg_is(arg, 0, ""));
    assert_false(arg_is(arg, 5, "SKIPME"));
    assert_false(arg_is(arg, 6, "SKIP"));
    assert_false(arg_is(arg, 6, "SKIPMA"));
    assert_false(arg_is(arg, 0, "SKIP"));
    assert_false(arg_is((const uint8_t *)"ON\0", 3, "ON"));
}

/* Asked for in any order, also behind the end. */
static void test_args(void **state)
{
    static const char command[] = "*4\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\n\r\n\r\n\r\n$2\r\nEX\r\n";
    static const struct {
        const char *bytes;
        size_t len;
    } want[] = {{"SET", 3}, {"", 0}, {"\r\n\r\n", 4}, {"EX", 2}};
    uint8_t *copy = exact_copy((const uint8_t *)command, sizeof command - 1);
    static const uint32_t order[] = {3, 3, 2, 2, 1, 1, 0, 0,          0,          0, 1, 1, 3,
                                     3, 4, 4, 4, 4, 3, 3, UINT32_MAX, UINT32_MAX, 2, 2, 2, 2};
    struct arg_cursor cursor = {0};
    struct call call = {.bytes = copy, .len = sizeof command - 1, .argc = 4};
    const uint8_t *arg;
    size_t len;
    (void)state;

    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        uint32_t n = order[i];
        call.cursor = i % 2 ? &cursor : NULL; /* each number without one, then with one */
        assert_int_equal(call_arg(&call, n, &arg, &len), n < 4);
        if (n >= 4)
            continue;
        assert_int_equal(len, want[n].len);
        assert_memory_equal(arg, want[n].bytes, len);
    }
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_no_numbers),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_args),
    };
    return cmocka_run_group_tests_name("call", tests, NULL, NULL);
}
