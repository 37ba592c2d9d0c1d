/* Patterns of keys, after what redis-server 7.0 answers to KEYS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "limiter/pattern.h"

static bool matches(const char *pattern, const char *key)
{
    return pattern_matches(pattern, strlen(pattern), (const uint8_t *)key, strlen(key));
}

static void test_matches(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"*", ""},
        {"*", "anything"},
        {"**", "x"},
        {"concurrent:*", "concurrent:"},
        {"concurrent:*", "concurrent:agent:7"},
        {"*:7", "concurrent:agent:7"},
        {"c*a*:?", "concurrent:agent:7"},
        {"a*b*c", "abcbcbc"},
        {"a?c", "abc"},
        {"h[ae]llo", "hallo"},
        {"h[^e]llo", "hallo"},
        {"h[a-c]llo", "hbllo"},
        {"h[c-a]llo", "hbllo"},
        {"[]]", "]"},
        {"\\*", "*"},
        {"a\\?c*", "a?cd"},
        {"[\\]]", "]"},
        {"x\\", "x\\"},
        {"[ab", "a"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool empty_set = strcmp(cases[i][0], "[]]") == 0; /* holds nothing, as in Redis */

        if (matches(cases[i][0], cases[i][1]) == empty_set)
            fail_msg("%s is %sfor %s", cases[i][0], empty_set ? "" : "not ", cases[i][1]);
    }
}

static void test_does_not_match(void **state)
{
    static const char *const cases[][2] = {
        {"", "x"},
        {"concurrent:*", "concurrent"},
        {"*:7", "agent:8"},
        {"concurrent:*", "xconcurrent:1"},
        {"a?c", "ac"},
        {"h[ae]llo", "hillo"},
        {"h[^e]llo", "hello"},
        {"h[a-c]llo", "hdllo"},
        {"a*b*c", "abcb"},
        {"\\*", "x"},
        {"a", "A"},
        {"?", ""},
        {"abc", "ab"},
        {"ab", "abc"},
        {"[ab", "c"},
        {"[^", ""},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (matches(cases[i][0], cases[i][1]))
            fail_msg("%s is for %s", cases[i][0], cases[i][1]);
    }
}

static void test_any_bytes(void **state)
{
    (void)state;
    assert_true(pattern_matches("a*\0z", 4, (const uint8_t *)"a\xff\0\0z", 5));
    assert_false(pattern_matches("a\0b", 3, (const uint8_t *)"a\0c", 3));
    assert_true(matches("[\xf0-\xff]", "\xf7"));
}

/* A hostile key must not take time without end: each star here could end anywhere. */
static void test_time_is_bounded(void **state)
{
    static char pattern[400], key[20000];
    (void)state;

    for (size_t i = 0; i + 2 < sizeof pattern; i += 2)
        memcpy(pattern + i, "*a", 2);
    memcpy(pattern + sizeof pattern - 3, "*b", 3);
    memset(key, 'a', sizeof key - 1);
    assert_false(matches(pattern, key));
}

static void test_literal(void **state)
{
    (void)state;
    assert_int_equal(pattern_literal("rl:*:x", 6), 3);
    assert_int_equal(pattern_literal("rl", 2), 2);
    assert_int_equal(pattern_literal("a?", 2), 1);
    assert_int_equal(pattern_literal("a[b]", 4), 1);
    assert_int_equal(pattern_literal("\\a", 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),         cmocka_unit_test(test_does_not_match), cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_time_is_bounded), cmocka_unit_test(test_literal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
