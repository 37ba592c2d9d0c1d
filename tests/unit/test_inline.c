/* Inline commands are split as a server splits them; what is written is canonical and fits the announced bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "protocol/inline.h"
#include "scan_feed.h"

#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

static enum inline_status split(const uint8_t *line, size_t len, uint8_t **out, size_t *out_len)
{
    uint8_t *copy = exact_copy(line, len);

    *out = malloc(inline_array_bound(len));
    assert_non_null(*out);
    enum inline_status status = inline_to_array(copy, len, *out, out_len);
    free(copy);
    return status;
}

static void test_split(void **state)
{
    static const struct {
        const uint8_t *line;
        size_t len;
        const uint8_t *array;
        size_t array_len;
    } cases[] = {
        {BYTES("PING"), BYTES("*1\r\n$4\r\nPING\r\n")},
        {BYTES("  set\tk  v "), BYTES("*3\r\n$3\r\nset\r\n$1\r\nk\r\n$1\r\nv\r\n")},
        {BYTES("\v\fPING\r"), BYTES("*1\r\n$4\r\nPING\r\n")},
        {BYTES("a\vb\fc"), BYTES("*1\r\n$5\r\na\vb\fc\r\n")},
        {BYTES("a\rb\nc"), BYTES("*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n")},
        {BYTES("\"\" ''"), BYTES("*2\r\n$0\r\n\r\n$0\r\n\r\n")},
        {BYTES("\"\\n\\r\\t\\b\\a\\\\\\\"\""), BYTES("*1\r\n$7\r\n\n\r\t\b\a\\\"\r\n")},
        {BYTES("\"\\x00\\xfF\\xAg\\q\""), BYTES("*1\r\n$6\r\n\0\xffxAgq\r\n")},
        {BYTES("\"\\x4\""), BYTES("*1\r\n$2\r\nx4\r\n")},
        {BYTES("'\\n\\'\\\\ '"), BYTES("*1\r\n$6\r\n\\n'\\\\ \r\n")},
        {BYTES("'a b' \"c 'd'\""), BYTES("*2\r\n$3\r\na b\r\n$5\r\nc 'd'\r\n")},
        {BYTES("a\"b c\" d"), BYTES("*2\r\n$4\r\nab c\r\n$1\r\nd\r\n")},
        {BYTES("\"a\"\vb"), BYTES("*2\r\n$1\r\na\r\n$1\r\nb\r\n")},
        {BYTES("a\\b"), BYTES("*1\r\n$3\r\na\\b\r\n")},
        {BYTES("$3"), BYTES("*1\r\n$2\r\n$3\r\n")},
        {BYTES("\xff\x80"), BYTES("*1\r\n$2\r\n\xff\x80\r\n")},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t *out;
        size_t len = 0;

        assert_int_equal(split(cases[i].line, cases[i].len, &out, &len), INLINE_OK);
        assert_int_equal(len, cases[i].array_len);
        assert_memory_equal(out, cases[i].array, len);
        free(out);
    }
}

static void test_empty_and_unbalanced(void **state)
{
    static const char *const empty[] = {"", " ", "\r", " \t\v\f\r "};
    static const char *const unbalanced[] = {"\"",        "'",          "\"a",   "'a",          "\"a\"b", "'a'b",
                                             "a \"b\\\"", "'a\\'",      "\"a\\", "\"\\x",       "\"\\x4", "\"\\x41",
                                             "'\\",       "\"a\"\"b\"", "''''",  "get \"a\"'b'"};
    uint8_t *out;
    size_t len;
    (void)state;

    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        assert_int_equal(split((const uint8_t *)empty[i], strlen(empty[i]), &out, &len), INLINE_EMPTY);
        free(out);
    }
    for (size_t i = 0; i < sizeof unbalanced / sizeof unbalanced[0]; i++) {
        const uint8_t *line = (const uint8_t *)unbalanced[i];
        assert_int_equal(split(line, strlen(unbalanced[i]), &out, &len), INLINE_UNBALANCED);
        free(out);
    }
}

/* A short argument grows most when it is written as a bulk. */
static void test_bound(void **state)
{
    static const char *const parts[] = {"a ", "ab ", "'' ", "\"\\x41\" ", "0123456789 ", "a"};
    const struct request_limits limits = {.max_args = UINT32_MAX, .max_bulk = UINT32_MAX, .authenticated = true};
    (void)state;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        for (size_t n = 1; n < 70; n++) {
            uint8_t line[1024], *out;
            size_t len = 0, out_len = 0;
            struct request_scan scan;

            for (size_t k = 0; k < n; k++, len += strlen(parts[i])) {
                memcpy(line + len, parts[i], strlen(parts[i]));
            }
            assert_int_equal(split(line, len, &out, &out_len), INLINE_OK);
            assert_true(out_len <= inline_array_bound(len));
            assert_int_equal(feed_request(&scan, out, out_len, &limits, cuts_whole(out_len)), RESP_DONE);
            assert_int_equal(scan.pos, out_len);
            free(out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_empty_and_unbalanced),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests_name("inline", tests, NULL, NULL);
}
