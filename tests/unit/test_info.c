/* What INFO and TIME say of a backend's clock, and what says nothing of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/health/info.h"

static void test_values(void **state)
{
    static const char info[] = "# Replication\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nempty:\r\nlast:x";
    char value[8];

    (void)state;
    info_value(info, "role:", value, sizeof(value));
    assert_string_equal(value, "slave");
    info_value(info, "master_host:", value, sizeof(value));
    assert_string_equal(value, "10.0.0.");
    info_value(info, "empty:", value, sizeof(value));
    assert_string_equal(value, "");
    info_value(info, "last:", value, sizeof(value));
    assert_string_equal(value, "x");
    info_value(info, "other:", value, sizeof(value));
    assert_string_equal(value, "");
}

static void test_the_clock_of_info(void **state)
{
    static const struct {
        const char *info;
        int64_t clock_us;
    } cases[] = {
        {"# Server\r\nserver_time_usec:1790000000123456\r\nuptime_in_seconds:1\r\n", 1790000000123456},
        {"server_time_usec:0\r\n", 0},
        {"server_time_usec:9007199254740991\r\n", 9007199254740991},
        {"server_time_usec:9007199254740992\r\n", CLOCK_UNTOLD},
        {"server_time_usec:99999999999999999999999999\r\n", CLOCK_UNTOLD},
        {"server_time_usec:-5\r\n", CLOCK_UNTOLD},
        {"server_time_usec:17e3\r\n", CLOCK_UNTOLD},
        {"server_time_usec: 17\r\n", CLOCK_UNTOLD},
        {"server_time_usec:\r\n", CLOCK_UNTOLD},
        {"# Replication\r\nrole:master\r\n", CLOCK_UNTOLD},
        {"", CLOCK_UNTOLD},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(clock_of_info(cases[i].info), cases[i].clock_us);
}

static void test_the_clock_of_time(void **state)
{
    static const struct {
        const char *seconds, *microseconds;
        int64_t clock_us;
    } cases[] = {
        {"1790000000", "123456", 1790000000123456},
        {"1790000000", "7", 1790000000000007},
        {"0", "0", 0},
        {"1790000000", "1000000", CLOCK_UNTOLD},
        {"9007199254", "999999", CLOCK_UNTOLD},
        {"9223372036854775807", "0", CLOCK_UNTOLD},
        {"-1", "0", CLOCK_UNTOLD},
        {"1790000000", "", CLOCK_UNTOLD},
        {"", "5", CLOCK_UNTOLD},
        {"17x", "5", CLOCK_UNTOLD},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(clock_of_time(cases[i].seconds, cases[i].microseconds), cases[i].clock_us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_the_clock_of_info),
        cmocka_unit_test(test_the_clock_of_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
