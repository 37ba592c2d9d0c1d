/* The log: one write a line, lines nobody can forge, JSON that stays JSON when it is cut, at most 10 a second each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proxy/net/log.h"

enum { LINE_ROOM = 8192, LINE_MOST = 4096, EVENTS = 40, STAMP_SECOND = 19 };

static int heard; /* every write(2) to standard error arrives here as one message */

static int listen_to_stderr(void **state)
{
    int pair[2];
    (void)state;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) || dup2(pair[1], STDERR_FILENO) < 0)
        return -1;
    close(pair[1]);
    heard = pair[0];
    return 0;
}

/* The next line, without its end. False when nothing was written. */
static bool next_line(char line[LINE_ROOM])
{
    ssize_t len = recv(heard, line, LINE_ROOM - 1, MSG_DONTWAIT);
    if (len < 0)
        return false;
    assert_in_range(len, 1, LINE_MOST);
    assert_int_equal(line[len - 1], '\n');
    line[len - 1] = '\0';
    assert_int_equal(strlen(line), len - 1);
    assert_null(strchr(line, '\n'));
    return true;
}

static void expect(const char *head, const char *tail)
{
    char line[LINE_ROOM];
    size_t stamp = strlen("2026-01-01T00:00:00.000Z");
    assert_true(next_line(line));
    assert_memory_equal(line, head, strlen(head));
    assert_string_equal(line + strlen(head) + stamp, tail);
    assert_false(next_line(line));
}

/* Past one string or number of a flat JSON object. */
static const char *json_scalar(const char *at)
{
    if (*at != '"') {
        size_t digits = strspn(at, "-0123456789");
        assert_int_not_equal(digits, 0);
        return at + digits;
    }
    for (at++; *at != '"'; at++) {
        assert_true((unsigned char)*at >= 0x20 && (unsigned char)*at < 0x7f);
        if (*at != '\\')
            continue;
        at++;
        assert_non_null(strchr("\"\\u", *at));
        if (*at == 'u')
            for (int i = 0; i < 4; i++)
                assert_true(isxdigit((unsigned char)*++at));
    }
    return at + 1;
}

static void assert_json(const char *line)
{
    const char *at = line;
    do {
        assert_int_equal(*at, at == line ? '{' : ',');
        at = json_scalar(at + 1);
        assert_int_equal(*at, ':');
        at = json_scalar(at + 1);
    } while (*at == ',');
    assert_string_equal(at, "}");
}

static void test_logfmt(void **state)
{
    (void)state;
    log_setup(LOG_INFO, false);
    log_write(LOG_WARN, "two words", LOG_NUM("count", -3), LOG_TEXT("name", "plain"), LOG_TEXT("text", "a b"),
              LOG_TEXT("none", ""));
    expect("time=", " level=warn msg=\"two words\" count=-3 name=plain text=\"a b\" none=\"\"");
    log_write(LOG_INFO, "forged", LOG_TEXT("name", "x\nlevel=error \"\\\xff"));
    expect("time=", " level=info msg=forged name=\"x\\u000alevel=error \\\"\\\\\\u00ff\"");
}

static void test_json(void **state)
{
    (void)state;
    log_setup(LOG_INFO, true);
    log_write(LOG_ERROR, "two words", LOG_NUM("count", INT64_MIN), LOG_TEXT("name", "x\r\n\"}\\\x7f"));
    expect("{\"time\":\"", "\",\"level\":\"error\",\"msg\":\"two words\",\"count\":-9223372036854775808,"
                           "\"name\":\"x\\u000d\\u000a\\\"}\\\\\\u007f\"}");
}

static void test_threshold(void **state)
{
    char line[LINE_ROOM];
    (void)state;
    log_setup(LOG_WARN, false);
    assert_true(log_enabled(LOG_WARN));
    assert_false(log_enabled(LOG_INFO));
    log_write(LOG_INFO, "quiet", LOG_END);
    assert_false(next_line(line));
}

/* Values of every length around the room of a line, of bytes that need 1, 2 and 6: cut, but closed. */
static void test_cut_lines_stay_json(void **state)
{
    static const char events[EVENTS][32]; /* each may be written ten times a second */
    static const char bytes[] = "x\"\n";
    char value[LINE_ROOM], line[LINE_ROOM];
    unsigned n = 0, cut = 0;

    (void)state;
    log_setup(LOG_INFO, true);
    for (const char *byte = bytes; *byte; byte++) {
        size_t around = LINE_MOST / (*byte == 'x' ? 1 : *byte == '"' ? 2 : 6);
        for (size_t len = around - 120; len < around + 10; len++, n++) {
            memset(value, *byte, len);
            value[len] = '\0';
            log_write(LOG_INFO, events[n % EVENTS], LOG_TEXT("value", value), LOG_NUM("after", INT64_MIN),
                      LOG_TEXT("last", "word"));
            assert_true(next_line(line));
            assert_json(line);
            cut += !strstr(line, "\"last\":\"word\"");
        }
    }
    assert_in_range(n, 300, EVENTS * 10);
    assert_in_range(cut, 30, n - 30);
}

/* What a flood leaves out is told by the first line of a later second. */
static void test_flood(void **state)
{
    enum { FLOOD = 100, PER_SECOND = 10 };
    char line[LINE_ROOM], second[STAMP_SECOND + 1] = "";
    unsigned lines = 0, in_second = 0, suppressed = 0;
    time_t last = time(NULL);

    (void)state;
    log_setup(LOG_INFO, false);
    for (unsigned i = 0; i <= FLOOD; i++) {
        if (i == FLOOD)
            for (last = time(NULL); time(NULL) <= last;)
                usleep(1000);
        log_write(LOG_INFO, "flood", LOG_END);
    }
    for (; next_line(line); lines++) {
        const char *left_out = strstr(line, " suppressed=");
        const char *stamp = line + strlen("time=");
        in_second = strncmp(second, stamp, STAMP_SECOND) ? 1 : in_second + 1;
        memcpy(second, stamp, STAMP_SECOND);
        assert_in_range(in_second, 1, PER_SECOND);
        suppressed += left_out ? (unsigned)strtoul(left_out + strlen(" suppressed="), NULL, 10) : 0;
    }
    assert_int_equal(lines + suppressed, FLOOD + 1);
    assert_in_range(suppressed, 1, FLOOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logfmt),    cmocka_unit_test(test_json),
        cmocka_unit_test(test_threshold), cmocka_unit_test(test_cut_lines_stay_json),
        cmocka_unit_test(test_flood),
    };
    return cmocka_run_group_tests(tests, listen_to_stderr, NULL);
}
