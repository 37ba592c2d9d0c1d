/* Replies: one is found exactly, whatever its types, depth and cuts; what is not RESP, or too much of it, is an error.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "scan_feed.h"

#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

static enum resp_status scan_all_cuts(struct reply_scan *scan, const uint8_t *bytes, size_t len,
                                      const struct reply_limits *limits)
{
    enum resp_status whole = feed_reply(scan, bytes, len, limits, cuts_whole(len));
    struct reply_scan other;

    for (size_t offset = 1; offset < len; offset++) {
        assert_int_equal(feed_reply(&other, bytes, len, limits, cuts_at(offset, len)), whole);
        assert_true(same_reply(scan, &other));
    }
    assert_int_equal(feed_reply(&other, bytes, len, limits, cuts_each(1)), whole);
    assert_true(same_reply(scan, &other));
    return whole;
}

static void test_good(void **state)
{
    static const struct {
        const char *bytes;
        char type;
    } cases[] = {
        {"+OK\r\n", '+'},
        {"+\r\n", '+'},
        {"-ERR no\ttabs\r\n", '-'},
        {":0\r\n", ':'},
        {":-12\r\n", ':'},
        {":+12\r\n", ':'},
        {":18446744073709551615\r\n", ':'},
        {"$3\r\nfoo\r\n", '$'},
        {"$0\r\n\r\n", '$'},
        {"$2\r\n\r\n\r\n", '$'},
        {"$-1\r\n", '$'},
        {"*0\r\n", '*'},
        {"*-1\r\n", '*'},
        {"*2\r\n:1\r\n$-1\r\n", '*'},
        {"*3\r\n*2\r\n+a\r\n*0\r\n*-1\r\n*1\r\n*1\r\n$1\r\nx\r\n", '*'},
        {"_\r\n", '_'},
        {"#t\r\n", '#'},
        {"#f\r\n", '#'},
        {",3.14\r\n", ','},
        {",-inf\r\n", ','},
        {",nan\r\n", ','},
        {"(3492890328409238509324850943850943825024385\r\n", '('},
        {"!21\r\nSYNTAX invalid syntax\r\n", '!'},
        {"=15\r\ntxt:Some string\r\n", '='},
        {"%0\r\n", '%'},
        {"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n", '%'},
        {"~2\r\n+a\r\n#t\r\n", '~'},
        {">3\r\n+message\r\n+c\r\n+m\r\n", '>'},
        {"|1\r\n+ttl\r\n:3600\r\n$1\r\nx\r\n", '$'},
        {"|1\r\n+a\r\n*1\r\n+b\r\n-ERR x\r\n", '-'},
        {"|0\r\n|1\r\n+a\r\n|1\r\n+b\r\n+c\r\n+d\r\n>1\r\n+x\r\n", '>'},
        {"*2\r\n|1\r\n+a\r\n%1\r\n+b\r\n+c\r\n:1\r\n:2\r\n", '*'},
        {"*2\r\n-ERR in an EXEC\r\n>1\r\n+x\r\n:1\r\n", '*'},
        {"*1\r\n>2\r\n+x\r\n>1\r\n:2\r\n+y\r\n:1\r\n", '*'},
        {"|1\r\n>1\r\n+x\r\n+k\r\n+v\r\n>1\r\n+z\r\n", '>'},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char two[256];
        int len = snprintf(two, sizeof two, "%s+NEXT\r\n", cases[i].bytes);
        struct reply_scan scan;

        assert_int_equal(scan_all_cuts(&scan, (const uint8_t *)two, (size_t)len, &reply_limits_default), RESP_DONE);
        assert_int_equal(scan.pos, strlen(cases[i].bytes));
        assert_int_equal(scan.type, cases[i].type);
        for (size_t cut = 0; cut < scan.pos; cut++) {
            struct reply_scan part;
            assert_int_equal(feed_reply(&part, (const uint8_t *)two, cut, &reply_limits_default, cuts_whole(cut)),
                             RESP_MORE);
        }
    }
}

static void test_bad(void **state)
{
    static const struct {
        const uint8_t *bytes;
        size_t len;
    } cases[] = {
        {BYTES("x\r\n")},
        {BYTES("\r\n")},
        {BYTES("\0")},
        {BYTES("+a\n")},
        {BYTES("+a\rb\r\n")},
        {BYTES("-a\nb\r\n")},
        {BYTES(":\r\n")},
        {BYTES(":1x\r\n")},
        {BYTES(":-\r\n")},
        {BYTES(":1\n")},
        {BYTES(":123456789012345678901\r\n")},
        {BYTES("$+3\r\nfoo\r\n")},
        {BYTES("$03\r\nfoo\r\n")},
        {BYTES("$-2\r\n")},
        {BYTES("$\r\n")},
        {BYTES("$3\r\nfoobar\r\n")},
        {BYTES("$3\r\nfoo\n\n")},
        {BYTES("$3\nfoo\r\n")},
        {BYTES("$4294967297\r\n")},
        {BYTES("$18446744073709551619\r\n")},
        {BYTES("*-2\r\n")},
        {BYTES("*-10\r\n")},
        {BYTES("*+1\r\n")},
        {BYTES("*1\r\nfoo\r\n")},
        {BYTES("*99999999999999999999\r\n")},
        {BYTES("%-1\r\n")},
        {BYTES("~-1\r\n")},
        {BYTES(">-1\r\n")},
        {BYTES("|-1\r\n")},
        {BYTES("!-1\r\n")},
        {BYTES("=-1\r\n")},
        {BYTES("_x\r\n")},
        {BYTES("_\n")},
        {BYTES("#x\r\n")},
        {BYTES("#tt\r\n")},
        {BYTES("$?\r\n;4\r\nHell\r\n;0\r\n")},
        {BYTES("*?\r\n:1\r\n.\r\n")},
        {BYTES("%?\r\n")},
        {BYTES(";4\r\n")},
        {BYTES(".\r\n")},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reply_scan scan;
        assert_int_equal(scan_all_cuts(&scan, cases[i].bytes, cases[i].len, &reply_limits_default), RESP_ERROR);
    }
}

static void test_value_limit(void **state)
{
    const struct reply_limits four = {.max_values = 4, .max_bulk = 10, .max_line = 10};
    struct reply_scan scan;
    (void)state;

    assert_int_equal(scan_all_cuts(&scan, BYTES("*4\r\n"), &four), RESP_MORE);
    assert_int_equal(scan_all_cuts(&scan, BYTES("*5\r\n"), &four), RESP_ERROR);
    assert_int_equal(scan_all_cuts(&scan, BYTES("*2\r\n*3\r\n"), &four), RESP_MORE);
    assert_int_equal(scan.left, 4);
    assert_int_equal(scan_all_cuts(&scan, BYTES("*2\r\n*4\r\n"), &four), RESP_ERROR);
    assert_int_equal(scan_all_cuts(&scan, BYTES("%2\r\n"), &four), RESP_MORE);
    assert_int_equal(scan_all_cuts(&scan, BYTES("%3\r\n"), &four), RESP_ERROR);
    assert_int_equal(scan_all_cuts(&scan, BYTES("|1\r\n"), &four), RESP_MORE);
    assert_int_equal(scan.left, 3);
    assert_int_equal(scan_all_cuts(&scan, BYTES("|2\r\n"), &four), RESP_ERROR);
    assert_int_equal(scan_all_cuts(&scan, BYTES("$10\r\n"), &four), RESP_MORE);
    assert_int_equal(scan_all_cuts(&scan, BYTES("$11\r\n"), &four), RESP_ERROR);
    assert_int_equal(scan_all_cuts(&scan, BYTES("=11\r\n"), &four), RESP_ERROR);
    assert_int_equal(scan_all_cuts(&scan, BYTES("+123456789\r\n"), &four), RESP_DONE);
    assert_int_equal(scan_all_cuts(&scan, BYTES("+1234567890\r\n"), &four), RESP_ERROR);
}

/* Twice a count, or a count and what is owed already, must not wrap around to a small number. */
static void test_counts_near_2_62(void **state)
{
    const struct reply_limits all = {.max_values = UINT64_MAX, .max_bulk = UINT64_MAX, .max_line = UINT32_MAX};
    struct reply_scan scan;
    (void)state;

    assert_int_equal(scan_all_cuts(&scan, BYTES("%4611686018427387903\r\n"), &reply_limits_default), RESP_ERROR);
    assert_int_equal(scan_all_cuts(&scan, BYTES("%4611686018427387904\r\n"), &reply_limits_default), RESP_ERROR);
    assert_int_equal(scan_all_cuts(&scan, BYTES("%4611686018427387904\r\n"), &all), RESP_MORE);
    assert_true(scan.left == UINT64_C(1) << 63);
    assert_int_equal(scan_all_cuts(&scan, BYTES("%9223372036854775807\r\n"), &all), RESP_MORE);
    assert_true(scan.left == UINT64_MAX - 1);
    assert_int_equal(scan_all_cuts(&scan, BYTES("%9223372036854775808\r\n"), &all), RESP_ERROR);
    assert_int_equal(scan_all_cuts(&scan, BYTES("%9223372036854775807\r\n*2\r\n*2\r\n"), &all), RESP_ERROR);
    assert_int_equal(scan_all_cuts(&scan, BYTES("|9223372036854775807\r\n"), &all), RESP_MORE);
    assert_true(scan.left == UINT64_MAX);
    assert_int_equal(scan_all_cuts(&scan, BYTES("|9223372036854775807\r\n*2\r\n"), &all), RESP_ERROR);
    assert_int_equal(scan_all_cuts(&scan, BYTES("$9223372036854775807\r\n"), &all), RESP_ERROR);
    assert_int_equal(scan_all_cuts(&scan, BYTES("$9999999999999999999\r\n"), &all), RESP_ERROR);
}

/* Deeper than any stack: 10^6 arrays in one another. */
static void test_deep(void **state)
{
    const size_t depth = 1000000, len = depth * 4 + 4;
    uint8_t *bytes = malloc(len);
    struct reply_scan scan;
    (void)state;

    assert_non_null(bytes);
    for (size_t i = 0; i < depth; i++) {
        memcpy(bytes + 4 * i, "*1\r\n", 4);
    }
    memcpy(bytes + 4 * depth, ":1\r\n", 4);
    assert_int_equal(feed_reply(&scan, bytes, len, &reply_limits_default, cuts_whole(len)), RESP_DONE);
    assert_int_equal(scan.pos, len);
    assert_int_equal(feed_reply(&scan, bytes, len, &reply_limits_default, cuts_each(7)), RESP_DONE);
    assert_int_equal(scan.pos, len);
    assert_int_equal(feed_reply(&scan, bytes, len - 4, &reply_limits_default, cuts_each(7)), RESP_MORE);
    free(bytes);
}

/* Short lines stay whole until their end has come; long ones are consumed as they come. */
static void test_long_line(void **state)
{
    const size_t len = 300000;
    uint8_t *bytes = malloc(len + 2);
    struct reply_limits limits = reply_limits_default;
    struct reply_scan scan, whole;
    (void)state;

    assert_non_null(bytes);
    memset(bytes, 'e', len);
    bytes[0] = '-';
    memcpy(bytes + len, "\r\n", 2);
    assert_int_equal(feed_reply(&scan, bytes, 4096, &limits, cuts_each(100)), RESP_MORE);
    assert_int_equal(scan.pos, 0);
    assert_int_equal(feed_reply(&scan, bytes, 4097, &limits, cuts_each(100)), RESP_MORE);
    assert_int_equal(scan.pos, 4097);
    assert_int_equal(scan.type, '-');
    assert_int_equal(feed_reply(&whole, bytes, len + 2, &limits, cuts_whole(len + 2)), RESP_DONE);
    for (size_t first = len - 3; first < len + 2; first++) {
        assert_int_equal(feed_reply(&scan, bytes, len + 2, &limits, (struct cuts){first, 1, 0}), RESP_DONE);
        assert_true(same_reply(&whole, &scan));
    }
    assert_int_equal(feed_reply(&scan, bytes, len + 2, &limits, cuts_each(1)), RESP_DONE);
    assert_true(same_reply(&whole, &scan));
    limits.max_line = (uint32_t)len - 1;
    assert_int_equal(feed_reply(&scan, bytes, len + 2, &limits, cuts_whole(len + 2)), RESP_ERROR);
    assert_int_equal(feed_reply(&scan, bytes, len + 2, &limits, cuts_each(1000)), RESP_ERROR);
    bytes[len / 2] = '\n';
    assert_int_equal(feed_reply(&scan, bytes, len + 2, &reply_limits_default, cuts_each(1000)), RESP_ERROR);
    free(bytes);
}

static void test_many_values(void **state)
{
    const size_t n = 100000, len = 9 + n * 4;
    uint8_t *bytes = malloc(len);
    struct reply_scan scan;
    (void)state;

    assert_non_null(bytes);
    memcpy(bytes, "*100000\r\n", 9);
    for (size_t i = 0; i < n; i++) {
        memcpy(bytes + 9 + 4 * i, ":7\r\n", 4);
    }
    assert_int_equal(feed_reply(&scan, bytes, len, &reply_limits_default, cuts_whole(len)), RESP_DONE);
    assert_int_equal(scan.pos, len);
    assert_int_equal(feed_reply(&scan, bytes, len - 1, &reply_limits_default, cuts_random(3)), RESP_MORE);
    assert_int_equal(scan.left, 1);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_value_limit), cmocka_unit_test(test_counts_near_2_62),
        cmocka_unit_test(test_deep),        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_many_values),
    };
    return cmocka_run_group_tests_name("resp_reply", tests, NULL, NULL);
}
