/* Requests: what is accepted, what is refused and why, and that it does not depend on how the bytes were cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "scan_feed.h"

static const struct request_limits limits = {.max_args = 1024, .max_bulk = 1000000, .authenticated = true};
static const struct request_limits unauth = {.max_args = 1024, .max_bulk = 1000000, .authenticated = false};

#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

/* The verdict over the whole must be that of every split, and of one byte at a time. Leaves the scan of the whole. */
static enum resp_status scan_all_cuts(struct request_scan *scan, const uint8_t *bytes, size_t len,
                                      const struct request_limits *with)
{
    enum resp_status whole = feed_request(scan, bytes, len, with, cuts_whole(len));
    struct request_scan other;

    for (size_t offset = 1; offset < len; offset++) {
        assert_int_equal(feed_request(&other, bytes, len, with, cuts_at(offset, len)), whole);
        assert_true(same_request(scan, &other));
    }
    assert_int_equal(feed_request(&other, bytes, len, with, cuts_each(1)), whole);
    assert_true(same_request(scan, &other));
    return whole;
}

struct good_case {
    const uint8_t *bytes;
    size_t len, done; /* `done` of `len` bytes belong to the command */
    uint32_t argc;
    const char *arg[2];
};

static void test_good(void **state)
{
    static const struct good_case cases[] = {
        {BYTES("*1\r\n$4\r\nPING\r\n"), 14, 1, {"PING", NULL}},
        {BYTES("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), 20, 2, {"GET", "k"}},
        {BYTES("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n"), 20, 2, {"GET", "k"}},
        {BYTES("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$12\r\n\r\nab\0cd\nefg\r\r\n"), 41, 3, {"SET", "key"}},
        {BYTES("*2\r\n$0\r\n\r\n$0\r\n\r\n"), 16, 2, {"", ""}},
        {BYTES("*11\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n$1\r\nh\r\n$"
               "1\r\ni\r\n"
               "$1\r\nj\r\n$10\r\n0123456789\r\n"),
         5 + 70 + 17,
         11,
         {"a", "b"}},
        {BYTES("*0\r\n"), 4, 0, {NULL, NULL}},
        {BYTES("*0\r\n*1\r\n"), 4, 0, {NULL, NULL}},
        {BYTES("*-1\r\n"), 5, 0, {NULL, NULL}},
        {BYTES("*-10\r\n"), 6, 0, {NULL, NULL}},
        {BYTES("*-9223372036854775808\r\n"), 23, 0, {NULL, NULL}},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct good_case *good = &cases[i];
        struct request_scan scan;

        assert_int_equal(scan_all_cuts(&scan, good->bytes, good->len, &limits), RESP_DONE);
        assert_int_equal(scan.pos, good->done);
        assert_int_equal(scan.argc, good->argc);
        assert_int_equal(scan.is_inline, 0);
        for (unsigned n = 0; n < 2; n++) {
            assert_int_equal(request_has_arg(&scan, n), good->arg[n] != NULL);
            if (good->arg[n]) {
                assert_int_equal(scan.arg[n].len, strlen(good->arg[n]));
                assert_memory_equal(good->bytes + scan.arg[n].off, good->arg[n], scan.arg[n].len);
            }
        }
    }
}

struct bad_case {
    const uint8_t *bytes;
    size_t len;
    enum request_error error;
};

static void test_bad(void **state)
{
    static const struct bad_case cases[] = {
        {BYTES("*\r\n"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("*a\r\n"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("*+4\r\n"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("*04\r\n"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("*00\r\n"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("*-0\r\n"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("*-01\r\n"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("*--1\r\n"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("*-\r\n"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("*-9223372036854775809\r\n"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("* 1\r\n"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("*1 \r\n"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("*1\r\r\n"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("*1\rx"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("*1025\r\n"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("*2147483648\r\n"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("*4294967297\r\n"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("*9223372036854775808\r\n"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("*18446744073709551617\r\n"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("*99999999999999999999999999999999\r\n"), REQUEST_BAD_MULTIBULK_LENGTH},
        {BYTES("*1\n"), REQUEST_BARE_LF},
        {BYTES("*1\n$4\nPING\n"), REQUEST_BARE_LF},
        {BYTES("*\0001\r\n"), REQUEST_BARE_LF},
        {BYTES("*1\0\r\n"), REQUEST_BARE_LF},
        {BYTES("*1\r\nPING\r\n"), REQUEST_EXPECTED_DOLLAR},
        {BYTES("*1\r\n:1\r\n"), REQUEST_EXPECTED_DOLLAR},
        {BYTES("*1\r\n\r\n"), REQUEST_EXPECTED_DOLLAR},
        {BYTES("*2\r\n$3\r\nGET\r\n*1\r\n"), REQUEST_EXPECTED_DOLLAR},
        {BYTES("*1\r\n$\r\n"), REQUEST_BAD_BULK_LENGTH},
        {BYTES("*1\r\n$-1\r\n"), REQUEST_BAD_BULK_LENGTH},
        {BYTES("*1\r\n$+4\r\nPING\r\n"), REQUEST_BAD_BULK_LENGTH},
        {BYTES("*1\r\n$04\r\nPING\r\n"), REQUEST_BAD_BULK_LENGTH},
        {BYTES("*1\r\n$4 \r\nPING\r\n"), REQUEST_BAD_BULK_LENGTH},
        {BYTES("*1\r\n$0x4\r\nPING\r\n"), REQUEST_BAD_BULK_LENGTH},
        {BYTES("*1\r\n$1000001\r\n"), REQUEST_BAD_BULK_LENGTH},
        {BYTES("*1\r\n$9223372036854775807\r\n"), REQUEST_BAD_BULK_LENGTH},
        {BYTES("*1\r\n$18446744073709551620\r\nPING\r\n"), REQUEST_BAD_BULK_LENGTH},
        {BYTES("*1\r\n$4\nPING\r\n"), REQUEST_BARE_LF},
        {BYTES("*1\r\n$4\0\r\nPING\r\n"), REQUEST_BARE_LF},
        {BYTES("*1\r\n$4\r\nPINGxx"), REQUEST_BULK_NOT_TERMINATED},
        {BYTES("*1\r\n$4\r\nPING\n\n"), REQUEST_BULK_NOT_TERMINATED},
        {BYTES("*1\r\n$4\r\nPING\r\r\n"), REQUEST_BULK_NOT_TERMINATED},
        {BYTES("*1\r\n$3\r\nPING\r\n"), REQUEST_BULK_NOT_TERMINATED},
        {BYTES("*1\r\n$5\r\nPING\r\n*1\r\n"), REQUEST_BULK_NOT_TERMINATED},
        {BYTES("PI\0NG\r\n"), REQUEST_BARE_LF},
        {BYTES("\x16\x03\x01\x02\0\x01\0"), REQUEST_BARE_LF}, /* a TLS handshake */
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request_scan scan;

        assert_int_equal(scan_all_cuts(&scan, cases[i].bytes, cases[i].len, &limits), RESP_ERROR);
        assert_int_equal(scan.error, cases[i].error);
        assert_true(strlen(request_error_text(scan.error)) > 0);
    }
}

static void test_incomplete_never_done(void **state)
{
    static const char command[] = "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n";
    (void)state;

    for (size_t len = 0; len < sizeof command - 1; len++) {
        struct request_scan scan;

        assert_int_equal(scan_all_cuts(&scan, (const uint8_t *)command, len, &limits), RESP_MORE);
        assert_int_equal(scan.error, REQUEST_OK);
        assert_int_equal(request_has_arg(&scan, 0), len >= 11);
        assert_int_equal(request_has_arg(&scan, 1), len >= 20);
    }
}

static void test_unexpected_byte(void **state)
{
    struct request_scan scan;
    (void)state;

    assert_int_equal(scan_all_cuts(&scan, BYTES("*1\r\nx"), &limits), RESP_ERROR);
    assert_int_equal(scan.unexpected, 'x');
}

static void test_unauthenticated(void **state)
{
    struct request_scan scan;
    (void)state;

    assert_int_equal(scan_all_cuts(&scan, BYTES("*10\r\n$16384\r\n"), &unauth), RESP_MORE);
    assert_int_equal(scan_all_cuts(&scan, BYTES("*11\r\n"), &unauth), RESP_ERROR);
    assert_int_equal(scan.error, REQUEST_UNAUTH_MULTIBULK);
    assert_int_equal(scan_all_cuts(&scan, BYTES("*2\r\n$4\r\nAUTH\r\n$16385\r\n"), &unauth), RESP_ERROR);
    assert_int_equal(scan.error, REQUEST_UNAUTH_BULK);
    assert_int_equal(scan_all_cuts(&scan, BYTES("*1025\r\n"), &unauth), RESP_ERROR);
    assert_int_equal(scan.error, REQUEST_BAD_MULTIBULK_LENGTH);
    assert_int_equal(scan_all_cuts(&scan, BYTES("*1\r\n$1000001\r\n"), &unauth), RESP_ERROR);
    assert_int_equal(scan.error, REQUEST_BAD_BULK_LENGTH);
}

static void test_limits_are_inclusive(void **state)
{
    struct request_scan scan;
    (void)state;

    assert_int_equal(scan_all_cuts(&scan, BYTES("*1024\r\n$1000000\r\n"), &limits), RESP_MORE);
    assert_int_equal(scan.argc, 1024);
    assert_int_equal(scan.skip, 1000002);
}

static void test_inline(void **state)
{
    struct request_scan scan;
    (void)state;

    assert_int_equal(scan_all_cuts(&scan, BYTES("PING\r\nPING"), &limits), RESP_DONE);
    assert_int_equal(scan.pos, 6);
    assert_true(scan.is_inline);
    assert_int_equal(scan_all_cuts(&scan, BYTES("SET a 'b'\n"), &limits), RESP_DONE);
    assert_int_equal(scan.pos, 10);
    assert_int_equal(scan_all_cuts(&scan, BYTES("\r\n"), &limits), RESP_DONE);
    assert_int_equal(scan.pos, 2);
    assert_int_equal(scan_all_cuts(&scan, BYTES("\n"), &limits), RESP_DONE);
    assert_int_equal(scan.pos, 1);
    assert_int_equal(scan_all_cuts(&scan, BYTES("$3\r\nfoo\r\n"), &limits), RESP_DONE);
    assert_int_equal(scan.pos, 4);
    assert_true(scan.is_inline);
    assert_int_equal(scan_all_cuts(&scan, BYTES("PING"), &limits), RESP_MORE);
}

/* A line of `len` bytes that starts with `start`, then `end`: what the scan says to it in one piece and in many. */
static enum resp_status scan_long(struct request_scan *scan, const char *start, size_t len, char fill, const char *end)
{
    size_t total = len + strlen(end);
    uint8_t *bytes = malloc(total);
    struct request_scan other;

    assert_non_null(bytes);
    memset(bytes, fill, len);
    memcpy(bytes, start, strlen(start));
    memcpy(bytes + len, end, strlen(end));
    enum resp_status status = feed_request(scan, bytes, total, &limits, cuts_whole(total));
    assert_int_equal(feed_request(&other, bytes, total, &limits, cuts_each(1021)), status);
    assert_true(same_request(scan, &other));
    assert_int_equal(feed_request(&other, bytes, total, &limits, cuts_at(total - 1, total)), status);
    assert_true(same_request(scan, &other));
    free(bytes);
    return status;
}

static void test_long_lines(void **state)
{
    const size_t max = 64 * 1024;
    struct request_scan scan;
    (void)state;

    assert_int_equal(scan_long(&scan, "GET ", max, 'k', "\n"), RESP_DONE);
    assert_int_equal(scan_long(&scan, "GET ", max + 1, 'k', ""), RESP_ERROR);
    assert_int_equal(scan.error, REQUEST_INLINE_TOO_LONG);
    assert_int_equal(scan_long(&scan, "GET ", max + 1, 'k', "\n"), RESP_ERROR);
    assert_int_equal(scan.error, REQUEST_INLINE_TOO_LONG);
    assert_int_equal(scan_long(&scan, "*", max, '1', ""), RESP_MORE);
    assert_int_equal(scan_long(&scan, "*", max, '1', "\r\n"), RESP_ERROR);
    assert_int_equal(scan.error, REQUEST_BAD_MULTIBULK_LENGTH);
    assert_int_equal(scan_long(&scan, "*", max + 1, '1', ""), RESP_ERROR);
    assert_int_equal(scan.error, REQUEST_COUNT_TOO_LONG);
    assert_int_equal(scan_long(&scan, "*1\r\n$", max + 4, '1', ""), RESP_MORE);
    assert_int_equal(scan_long(&scan, "*1\r\n$", max + 5, '1', ""), RESP_ERROR);
    assert_int_equal(scan.error, REQUEST_BULK_COUNT_TOO_LONG);
}

static void test_long_bulk(void **state)
{
    struct request_scan scan;
    (void)state;

    assert_int_equal(scan_long(&scan, "*2\r\n$4\r\nECHO\r\n$100000\r\n", 23 + 100000, 'v', "\r\n"), RESP_DONE);
    assert_true(request_has_arg(&scan, 1));
    assert_int_equal(scan.arg[1].len, 100000);
    assert_int_equal(scan_long(&scan, "*2\r\n$4\r\nECHO\r\n$100000\r\n", 23 + 100001, 'v', "\r\n"), RESP_ERROR);
    assert_int_equal(scan.error, REQUEST_BULK_NOT_TERMINATED);
}

static void test_args(void **state)
{
    static const char command[] = "*4\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\na\r\nb\r\n$10\r\n0123456789\r\n";
    static const char *const want[] = {"SET", "", "a\r\nb", "0123456789"};
    struct request_args args;
    const uint8_t *arg;
    size_t len, n = 0;
    (void)state;

    request_args_start(&args, (const uint8_t *)command, sizeof command - 1);
    for (; request_args_next(&args, &arg, &len); n++) {
        assert_true(n < 4);
        assert_int_equal(len, strlen(want[n]));
        assert_memory_equal(arg, want[n], len);
    }
    assert_int_equal(n, 4);
    request_args_start(&args, BYTES("*-1\r\n"));
    assert_false(request_args_next(&args, &arg, &len));
    request_args_start(&args, BYTES("*0\r\n"));
    assert_false(request_args_next(&args, &arg, &len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_incomplete_never_done),
        cmocka_unit_test(test_unexpected_byte),
        cmocka_unit_test(test_unauthenticated),
        cmocka_unit_test(test_limits_are_inclusive),
        cmocka_unit_test(test_inline),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_long_bulk),
        cmocka_unit_test(test_args),
    };
    return cmocka_run_group_tests_name("resp_request", tests, NULL, NULL);
}
