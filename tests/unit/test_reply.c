/* What the proxy itself says: exact bytes in both protocol versions, words of the server, and a writer that stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "protocol/command.h"
#include "protocol/reply.h"
#include "scan_feed.h"

static uint8_t bytes[512];

static struct reply_writer writer(void)
{
    memset(bytes, '#', sizeof bytes);
    return (struct reply_writer){.bytes = bytes, .cap = sizeof bytes};
}

static void wrote(const struct reply_writer *w, const char *want, size_t len)
{
    assert_false(w->full);
    assert_int_equal(w->len, len);
    assert_memory_equal(w->bytes, want, len);
}

#define WROTE(w, literal) wrote(&(w), literal, sizeof(literal) - 1)

static void test_scalars(void **state)
{
    struct reply_writer w = writer();
    (void)state;

    reply_simple(&w, "OK");
    reply_error(&w, "ERR a\r\nb");
    reply_integer(&w, 0);
    reply_integer(&w, INT64_MIN);
    reply_bulk(&w, "a\0b", 3);
    reply_bulk(&w, "", 0);
    reply_raw(&w, "raw", 3);
    WROTE(w, "+OK\r\n-ERR a  b\r\n:0\r\n:-9223372036854775808\r\n$3\r\na\0b\r\n$0\r\n\r\nraw");
}

static void test_shapes_of_resp2(void **state)
{
    struct reply_writer w = writer();
    (void)state;

    reply_array(&w, 2);
    reply_map(&w, 2, 7);
    reply_set(&w, 2, 5);
    reply_push(&w, 2, 3);
    reply_null(&w, 2);
    reply_verbatim(&w, 2, "a=b\n", 4);
    WROTE(w, "*2\r\n*14\r\n*5\r\n*3\r\n$-1\r\n$4\r\na=b\n\r\n");
}

static void test_shapes_of_resp3(void **state)
{
    struct reply_writer w = writer();
    (void)state;

    reply_array(&w, 0);
    reply_map(&w, 3, 7);
    reply_set(&w, 3, 5);
    reply_push(&w, 3, 3);
    reply_null(&w, 3);
    reply_verbatim(&w, 3, "a=b\n", 4);
    WROTE(w, "*0\r\n%7\r\n~5\r\n>3\r\n_\r\n=8\r\ntxt:a=b\n\r\n");
}

static void write_some(struct reply_writer *w)
{
    reply_array(w, 4);
    reply_bulk(w, "hello", 5);
    reply_error(w, "ERR x");
    reply_integer(w, 12345);
    reply_simple(w, "OK");
}

/* With less room than needed a prefix is written, the rest never, and `full` says so. */
static void test_full(void **state)
{
    struct reply_writer all = writer();
    (void)state;

    write_some(&all);
    for (size_t cap = 0; cap < all.len; cap++) {
        uint8_t *room = malloc(cap ? cap : 1);
        struct reply_writer w = {.bytes = room, .cap = cap};

        assert_non_null(room);
        write_some(&w);
        assert_true(w.full);
        assert_true(w.len <= cap);
        assert_memory_equal(room, all.bytes, w.len);
        size_t len = w.len;
        reply_raw(&w, "", 0);
        reply_raw(&w, "x", 1);
        assert_int_equal(w.len, len);
        free(room);
    }
    struct reply_writer fits = {.bytes = bytes, .cap = all.len};
    write_some(&fits);
    assert_false(fits.full);
}

static void test_protocol_errors(void **state)
{
    static const char *const want[] = {
        [REQUEST_BAD_MULTIBULK_LENGTH] = "invalid multibulk length",
        [REQUEST_BAD_BULK_LENGTH] = "invalid bulk length",
        [REQUEST_EXPECTED_DOLLAR] = "expected '$', got 'x'",
        [REQUEST_BULK_NOT_TERMINATED] = "bulk is not followed by CR LF",
        [REQUEST_BARE_LF] = "LF without CR, or NUL, in a line",
        [REQUEST_COUNT_TOO_LONG] = "too big mbulk count string",
        [REQUEST_BULK_COUNT_TOO_LONG] = "too big bulk count string",
        [REQUEST_INLINE_TOO_LONG] = "too big inline request",
        [REQUEST_UNAUTH_MULTIBULK] = "unauthenticated multibulk length",
        [REQUEST_UNAUTH_BULK] = "unauthenticated bulk length",
    };
    (void)state;

    for (size_t error = REQUEST_BAD_MULTIBULK_LENGTH; error < sizeof want / sizeof want[0]; error++) {
        struct request_scan scan = {.error = (enum request_error)error, .unexpected = 'x'};
        struct reply_writer w = writer();
        char line[128];

        reply_protocol_error(&w, &scan);
        wrote(&w, line, (size_t)snprintf(line, sizeof line, "-ERR Protocol error: %s\r\n", want[error]));
    }
}

/* The byte that stood where `$` should is quoted, unless it would end the line. */
static void test_unexpected_byte(void **state)
{
    static const char breaking[] = {'\r', '\n', '\0'};
    struct request_scan scan = {.error = REQUEST_EXPECTED_DOLLAR, .unexpected = (char)0xff};
    struct reply_writer w = writer();
    (void)state;

    reply_protocol_error(&w, &scan);
    WROTE(w, "-ERR Protocol error: expected '$', got '\xff'\r\n");
    for (size_t i = 0; i < sizeof breaking; i++) {
        w = writer();
        scan.unexpected = breaking[i];
        reply_protocol_error(&w, &scan);
        WROTE(w, "-ERR Protocol error: expected '$', got ' '\r\n");
    }
}

static const struct command *find(const char *name, const char *sub)
{
    return command_find((const uint8_t *)name, strlen(name), (const uint8_t *)sub, sub ? strlen(sub) : 0);
}

static void test_refused(void **state)
{
    struct reply_writer w = writer();
    (void)state;

    reply_refused(&w, find("SHUTDOWN", NULL));
    WROTE(w, "-ERR respgate: 'shutdown' is refused by policy (see refuse-commands)\r\n");
    w = writer();
    reply_refused(&w, find("CLIENT", "KILL"));
    WROTE(w, "-ERR respgate: 'client|kill' is refused by policy (see refuse-commands)\r\n");
    w = writer();
    reply_refused(&w, find("CLIENT", NULL));
    WROTE(w, "-ERR respgate: 'client' is refused by policy (see refuse-commands)\r\n");
}

/* Client libraries compare these texts, some by their first words, some as a whole. */
static void test_texts_are_the_servers(void **state)
{
    (void)state;

    assert_string_equal(reply_text_noauth, "NOAUTH Authentication required.");
    assert_string_equal(reply_text_noauth_hello,
                        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH "
                        "<user> <pass> option can be used to authenticate the client and select the RESP protocol "
                        "version at the same time");
    assert_string_equal(reply_text_wrongpass, "WRONGPASS invalid username-password pair or user is disabled.");
    assert_string_equal(reply_text_auth_no_password,
                        "ERR AUTH <password> called without any password configured for the default user. Are you sure "
                        "your configuration is correct?");
    assert_string_equal(reply_text_noproto, "NOPROTO unsupported protocol version");
    assert_string_equal(reply_text_bad_protover, "ERR Protocol version is not an integer or out of range");
    assert_string_equal(reply_text_bad_db, "ERR DB index is out of range");
    assert_string_equal(reply_text_not_integer, "ERR value is not an integer or out of range");
    assert_string_equal(reply_text_not_int32,
                        "ERR value is out of range, value must between -2147483648 and 2147483647");
    assert_string_equal(reply_text_bad_client_name,
                        "ERR Client names cannot contain spaces, newlines or special characters.");
    assert_string_equal(reply_text_max_clients, "ERR max number of clients reached");
    assert_string_equal(reply_text_unbalanced, "ERR Protocol error: unbalanced quotes in request");
    assert_string_equal(reply_text_execabort, "EXECABORT Transaction discarded because of previous errors.");
    assert_string_equal(reply_text_no_such_client, "ERR No such client");
    assert_string_equal(reply_text_maint_notifications,
                        "ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.");
}

static void test_replies_scan_as_one(void **state)
{
    struct reply_writer w = writer();
    struct reply_scan scan;
    (void)state;

    write_some(&w);
    assert_int_equal(feed_reply(&scan, w.bytes, w.len, &reply_limits_default, cuts_each(1)), RESP_DONE);
    assert_int_equal(scan.pos, w.len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_shapes_of_resp2),
        cmocka_unit_test(test_shapes_of_resp3),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_protocol_errors),
        cmocka_unit_test(test_unexpected_byte),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_texts_are_the_servers),
        cmocka_unit_test(test_replies_scan_as_one),
    };
    return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
