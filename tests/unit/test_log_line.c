/* Reading log lines back: whatever the log wrote, in both formats, comes back byte for byte; a damaged line never does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "proxy/net/log.h"
#include "proxy/net/log_line.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { EVENTS = 60 };

static int log_fd; /* what is written to standard error can be read here */

static int catch_stderr(void **state)
{
    int fds[2];

    (void)state;
    if (pipe2(fds, O_NONBLOCK) || dup2(fds[1], STDERR_FILENO) < 0)
        return -1;
    log_fd = fds[0];
    return 0;
}

static void write_and_find(const char *value)
{
    char line[4096], found[1024];
    static char events[EVENTS][16]; /* each may be written ten times a second */
    static unsigned n;
    char *event = strcpy(events[n++ % EVENTS], "of its own");

    log_fields(
        LOG_INFO, event,
        (const struct log_field[]){LOG_NUM("epoch", -7), LOG_TEXT("decision", value), LOG_TEXT("last", "x"), LOG_END});
    ssize_t len = read(log_fd, line, sizeof(line) - 1);
    assert_in_range(len, 1, sizeof(line) - 1);
    assert_int_equal(line[len - 1], '\n');
    line[len - 1] = '\0';
    assert_int_equal(log_line_find(line, "decision", found, sizeof(found)), LOG_FOUND);
    assert_string_equal(found, value);
    assert_int_equal(log_line_find(line, "msg", found, sizeof(found)), LOG_FOUND);
    assert_string_equal(found, "of its own");
    assert_int_equal(log_line_find(line, "epoch", found, sizeof(found)), LOG_FOUND);
    assert_string_equal(found, "-7");
    assert_int_equal(log_line_find(line, "none", found, sizeof(found)), LOG_ABSENT);
}

static void test_what_the_log_writes_comes_back(void **state)
{
    static const char *const values[] = {"",      "plain",       "two words",    "a=b",  "say \"yes\"",    "\\",
                                         "\\u00", "a\nb\tc\x7f", "\xc3\xa4\xff", "{},:", "in=up current=0"};
    (void)state;
    for (int json = 0; json < 2; json++) {
        log_setup(LOG_INFO, json);
        for (size_t i = 0; i < COUNT(values); i++)
            write_and_find(values[i]);
        for (int byte = 1; byte < 256; byte++)
            write_and_find((const char[]){'x', (char)byte, 'y', 0});
    }
}

static void test_damaged_lines(void **state)
{
    static const char *const damaged[] = {
        "",
        "k",
        "k=",
        "=v",
        "k=v ",
        "k=v  l=w",
        "k=a\"b",
        "k=a=b",
        "k=\"v",
        "k=\"v\\",
        "k=\"v\"l=w",
        "k=\"\\n\"",
        "k=\"\\u0a\"",
        "k=\"\\u01ff\"",
        "k=\"\\u00 1\"",
        "k=\"\\u00+1\"",
        "k=much_too_long_for_it",
        "k=\"much_too_long_for_it\"",
        "{",
        "{}",
        "{\"k\":\"v\"",
        "{\"k\":\"v\",}",
        "{\"k\":\"v\"} ",
        "{\"k\" :\"v\"}",
        "{\"k\":}",
        "{k:\"v\"}",
        "{\"k\":\"v\"",
        "{\"a_key_that_is_much_longer_than_any_key_of_ours_is_and_ever_will_be\":1}",
    };
    char value[16];

    (void)state;
    for (size_t i = 0; i < COUNT(damaged); i++)
        if (log_line_find(damaged[i], "k", value, sizeof(value)) != LOG_MALFORMED)
            fail_msg("%s: taken for a line", damaged[i]);
}

static void test_the_first_of_two_counts(void **state)
{
    char value[16];

    (void)state;
    assert_int_equal(log_line_find("k=1 k=2", "k", value, sizeof(value)), LOG_FOUND);
    assert_string_equal(value, "1");
    assert_int_equal(log_line_find("k=fifteen_bytes__ l=1", "l", value, sizeof(value)), LOG_FOUND);
    assert_string_equal(value, "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_log_writes_comes_back),
        cmocka_unit_test(test_damaged_lines),
        cmocka_unit_test(test_the_first_of_two_counts),
    };
    return cmocka_run_group_tests(tests, catch_stderr, NULL);
}
