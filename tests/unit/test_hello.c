/* The backend's HELLO reply: passed on byte by byte but for the id, in both protocol versions, whatever it holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "proxy/flow/hello.h"
#include "scan_feed.h"

#define FIELDS_BEFORE_ID "$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n"
#define ID "$2\r\nid\r\n"
#define FIELDS_BEHIND_ID "$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n"
/* With an id and a version of its own, which are nobody's business. */
#define MODULE "$4\r\nname\r\n$2\r\nbf\r\n$2\r\nid\r\n:5\r\n$7\r\nversion\r\n$5\r\n9.9.9\r\n"

static const struct {
    const char *head, *tail; /* of the reply, on either side of the id */
} replies[] = {
    {"*14\r\n" FIELDS_BEFORE_ID ":2\r\n" ID, FIELDS_BEHIND_ID "*0\r\n"},
    {"*14\r\n" FIELDS_BEFORE_ID ":2\r\n" ID, FIELDS_BEHIND_ID "*2\r\n*6\r\n" MODULE "*6\r\n" MODULE},
    {"%7\r\n" FIELDS_BEFORE_ID ":3\r\n" ID, FIELDS_BEHIND_ID "*0\r\n"},
    {"%7\r\n" FIELDS_BEFORE_ID ":3\r\n" ID, FIELDS_BEHIND_ID "*2\r\n%3\r\n" MODULE "%3\r\n" MODULE},
    {"%7\r\n" FIELDS_BEFORE_ID ":3\r\n" ID, "$5\r\nlater\r\n#t\r\n+field\r\n_\r\n$4\r\n$2\r\n\r\n(12\r\n"},
};
enum { REPLIES = sizeof replies / sizeof replies[0] };

static uint64_t keep(struct hello *hello, const char *reply, size_t len)
{
    uint8_t *copy = exact_copy((const uint8_t *)reply, len);
    uint64_t id = hello_keep(hello, copy, len);
    free(copy);
    return id;
}

static uint64_t keep_text(struct hello *hello, const char *reply)
{
    return keep(hello, reply, strlen(reply));
}

static void writes(const struct hello *hello, uint64_t id, const char *want)
{
    uint8_t bytes[1024];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof bytes};

    hello_write(hello, &w, id);
    assert_false(w.full);
    assert_int_equal(w.len, strlen(want));
    assert_memory_equal(bytes, want, w.len);
}

/* `head`, a number, `tail`. */
static char *join(char room[1024], const char *head, const char *number, const char *tail)
{
    snprintf(room, 1024, "%s:%s\r\n%s", head, number, tail);
    return room;
}

static void test_id_is_replaced(void **state)
{
    char room[1024];
    (void)state;

    for (size_t i = 0; i < REPLIES; i++) {
        struct hello hello = {0};
        assert_int_equal(keep_text(&hello, join(room, replies[i].head, "4711", replies[i].tail)), 4711);
        assert_string_equal(hello.version, "7.0.15");
        writes(&hello, 1, join(room, replies[i].head, "1", replies[i].tail));
        writes(&hello, INT64_MAX, join(room, replies[i].head, "9223372036854775807", replies[i].tail));
        hello_finish(&hello);
        assert_null(hello.reply);
        assert_string_equal(hello.version, "");
        writes(&hello, 1, "");
    }
}

static void test_newest_is_kept(void **state)
{
    struct hello hello = {0};
    (void)state;

    keep_text(&hello, "%2\r\n$2\r\nid\r\n:1\r\n$7\r\nversion\r\n$5\r\n6.2.0\r\n");
    assert_int_equal(keep_text(&hello, "%1\r\n$2\r\nid\r\n:18446744073709551615\r\n"), UINT64_MAX);
    assert_string_equal(hello.version, "");
    writes(&hello, 5, "%1\r\n$2\r\nid\r\n:5\r\n");
    hello_finish(&hello);
}

static void test_versions(void **state)
{
    static const struct {
        const char *value, *version;
    } cases[] = {
        {"$5\r\n7.2.4\r\n", "7.2.4"},
        {"$15\r\n255.255.255-rc1\r\n", "255.255.255-rc1"},
        {"$16\r\n255.255.255-rc10\r\n", ""},
        {"$0\r\n\r\n", ""},
        {"$-1\r\n", ""},
        {":7\r\n", ""},
        {"_\r\n", ""},
        {"*1\r\n$5\r\n7.2.4\r\n", ""},
    };
    char room[256];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hello hello = {0};
        snprintf(room, sizeof room, "*2\r\n$7\r\nversion\r\n%s", cases[i].value);
        assert_int_equal(keep_text(&hello, room), 0);
        assert_string_equal(hello.version, cases[i].version);
        writes(&hello, 1, room);
        hello_finish(&hello);
    }
}

/* What is no list of fields is not kept: clients would be given a reply that never ends. */
static void test_garbage(void **state)
{
    static const char *const garbage[] = {
        "",
        "*",
        "%7",
        "+OK\r\n",
        "-ERR unknown command\r\n",
        ":1\r\n",
        "$2\r\nid\r\n",
        "~2\r\n$2\r\nid\r\n:1\r\n",
        "*1\r\n$2\r\nid\r\n",
        "*3\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n",
        "%2\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n",
        "%1\r\n$2\r\nid\r\n:1",
        "%1\r\n$2\r\nid\r\n:x\r\n",
        "%1\r\n\xff\xff\xff\xff",
    };
    (void)state;

    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        struct hello hello = {0};
        assert_int_equal(keep_text(&hello, garbage[i]), 0);
        assert_null(hello.reply);
        writes(&hello, 1, "");
        hello_finish(&hello);
    }
}

/* Cut anywhere it is garbage, too. */
static void test_cut(void **state)
{
    static const char whole[] = "%2\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$2\r\nid\r\n:12\r\n";
    struct hello hello = {0};
    (void)state;

    for (size_t len = 0; len < sizeof whole - 1; len++) {
        if (len == strlen("%2\r\n") || len == strlen("%2\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n"))
            continue; /* a whole number of fields: the scanner that found the reply's end counts them */
        assert_int_equal(keep(&hello, whole, len), 0);
        assert_null(hello.reply);
    }
    assert_int_equal(keep(&hello, whole, sizeof whole - 1), 12);
    hello_finish(&hello);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_id_is_replaced),
        cmocka_unit_test(test_newest_is_kept),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests_name("hello", tests, NULL, NULL);
}
