/* Pub/sub elements: every kind and family is known as soon as its first string is whole, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "protocol/pubsub.h"
#include "scan_feed.h"

enum { ENOUGH = 32 }; /* bytes that always suffice to classify */

static const struct {
    const char *name;
    enum pubsub_kind kind;
    enum pubsub_family family;
} names[] = {
    {"message", PUBSUB_MESSAGE, PUBSUB_CHANNEL},          {"pmessage", PUBSUB_MESSAGE, PUBSUB_PATTERN},
    {"smessage", PUBSUB_MESSAGE, PUBSUB_SHARD},           {"subscribe", PUBSUB_SUBSCRIBED, PUBSUB_CHANNEL},
    {"psubscribe", PUBSUB_SUBSCRIBED, PUBSUB_PATTERN},    {"ssubscribe", PUBSUB_SUBSCRIBED, PUBSUB_SHARD},
    {"unsubscribe", PUBSUB_UNSUBSCRIBED, PUBSUB_CHANNEL}, {"punsubscribe", PUBSUB_UNSUBSCRIBED, PUBSUB_PATTERN},
    {"sunsubscribe", PUBSUB_UNSUBSCRIBED, PUBSUB_SHARD},
};

static struct pubsub_element classify(const char *bytes, size_t len)
{
    uint8_t *copy = exact_copy((const uint8_t *)bytes, len);
    struct pubsub_element element = pubsub_classify(copy, len);
    free(copy);
    return element;
}

static void check_cuts(const char *bytes, size_t head_len, size_t len, size_t name)
{
    assert_true(head_len <= ENOUGH);
    for (size_t cut = 0; cut <= len; cut++) {
        struct pubsub_element element = classify(bytes, cut);
        assert_int_equal(element.kind, cut < head_len ? PUBSUB_OTHER : names[name].kind);
        if (cut >= head_len)
            assert_int_equal(element.family, names[name].family);
    }
}

static void test_all_at_every_length(void **state)
{
    static const char *const heads[] = {"*3", "*4", ">3", ">4"};
    char bytes[96];
    (void)state;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (size_t h = 0; h < sizeof heads / sizeof heads[0]; h++) {
            size_t head_len = (size_t)snprintf(bytes, sizeof bytes, "%s\r\n$%zu\r\n%s\r\n", heads[h],
                                               strlen(names[i].name), names[i].name);
            size_t len = head_len + (size_t)snprintf(bytes + head_len, sizeof bytes - head_len, "$1\r\nc\r\n:1\r\n");
            check_cuts(bytes, head_len, len, i);
        }
}

static void test_others(void **state)
{
    static const char *const others[] = {
        "*2\r\n$4\r\npong\r\n$0\r\n\r\n",
        "*3\r\n$7\r\nMESSAGE\r\n$1\r\nc\r\n$1\r\nm\r\n",
        "*3\r\n$8\r\nmessages\r\n$1\r\nc\r\n$1\r\nm\r\n",
        "*3\r\n$6\r\nessage\r\n$1\r\nc\r\n$1\r\nm\r\n",
        "*3\r\n$8\r\nxmessage\r\n$1\r\nc\r\n$1\r\nm\r\n",
        "*3\r\n+message\r\n$1\r\nc\r\n$1\r\nm\r\n",
        "*3\r\n$1\r\nc\r\n$7\r\nmessage\r\n$1\r\nm\r\n",
        "*33\r\n$7\r\nmessage\r\n$1\r\nc\r\n",
        ">2\r\n$10\r\ninvalidate\r\n*0\r\n",
        "%3\r\n$7\r\nmessage\r\n$1\r\nc\r\n",
        "~3\r\n$7\r\nmessage\r\n$1\r\nc\r\n",
        "$7\r\nmessage\r\n",
        "-ERR message\r\n",
        "+message\r\n",
    };
    (void)state;

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        for (size_t cut = 0; cut <= strlen(others[i]); cut++)
            assert_int_equal(classify(others[i], cut).kind, PUBSUB_OTHER);
}

static bool count_of(const char *bytes, size_t len, uint64_t *count)
{
    uint8_t *copy = exact_copy((const uint8_t *)bytes, len);
    bool found = pubsub_count(copy, len, count);
    free(copy);
    return found;
}

static void test_counts(void **state)
{
    static const struct {
        const char *bytes;
        uint64_t count;
    } whole[] = {
        {":0\r\n", 0},
        {":7\r\n", 7},
        {":10\r\n", 10},
        {":4294967295\r\n", 4294967295},
        {":999999999999999999\r\n", 999999999999999999},
        {"$-1\r\n:3\r\n", 3},
    };
    (void)state;

    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        uint64_t count = 99;
        assert_true(count_of(whole[i].bytes, strlen(whole[i].bytes), &count));
        assert_int_equal(count, whole[i].count);
    }
}

static void test_no_counts(void **state)
{
    static const char *const none[] = {
        "",
        "\r\n",
        "1\r\n",
        ":\r\n",
        "12\r\n",
        "$12\r\n",
        ":-1\r\n",
        ":+1\r\n",
        ":1a\r\n",
        ": 1\r\n",
        ":12\n",
        ":12\n\r",
        ":12\r\r",
        "_\r\n",
        "x123\r\n",
        "::\r\n",
        ":99999999999999999999\r\n",
        ":100000000000000000000000000\r\n",
    };
    (void)state;

    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        uint64_t count = 99;
        assert_false(count_of(none[i], strlen(none[i]), &count));
        assert_int_equal(count, 99);
    }
}

/* Of an element that came in parts only the last one is there: its number is read only when it is whole. */
static void test_cut_tails(void **state)
{
    static const char bytes[] = "*3\r\n$9\r\nsubscribe\r\n$3\r\n:45\r\n:123\r\n";
    size_t len = sizeof bytes - 1, colon = len - strlen(":123\r\n");
    (void)state;

    for (size_t start = 0; start <= len; start++) {
        uint64_t count = 99;
        assert_int_equal(count_of(bytes + start, len - start, &count), start <= colon);
        assert_int_equal(count, start <= colon ? 123 : 99);
    }
    for (size_t end = colon + 1; end < len; end++) {
        uint64_t count;
        assert_false(count_of(bytes, end, &count));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_at_every_length), cmocka_unit_test(test_others),    cmocka_unit_test(test_counts),
        cmocka_unit_test(test_no_counts),           cmocka_unit_test(test_cut_tails),
    };
    return cmocka_run_group_tests_name("pubsub", tests, NULL, NULL);
}
