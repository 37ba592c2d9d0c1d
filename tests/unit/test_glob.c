/* Patterns as a server's KEYS and COMMAND LIST FILTERBY PATTERN take them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "protocol/glob.h"
#include "scan_feed.h"

static bool matches(const char *pattern, const char *text)
{
    size_t len = strlen(pattern), text_len = strlen(text);
    uint8_t *exact = exact_copy((const uint8_t *)pattern, len);
    uint8_t *exact_text = exact_copy((const uint8_t *)text, text_len);
    bool found = glob_match(exact, len, (const char *)exact_text, text_len);

    free(exact);
    free(exact_text);
    return found;
}

static void test_matches(void **state)
{
    static const char *const pairs[][2] = {
        {"lim.try", "lim.try"},     {"LIM.TRY", "lim.try"},   {"*", "lim.try"},         {"**", "lim.try"},
        {"lim.*", "lim.try"},       {"*.try", "lim.try"},     {"*i*t*y", "lim.try"},    {"l*m*m.t*", "lim.lim.try"},
        {"???.???", "lim.try"},     {"lim.try*", "lim.try"},  {"*?", "lim.try"},        {"[kl]im.try", "lim.try"},
        {"[a-z]im.try", "lim.try"}, {"[z-a]im*", "lim.try"},  {"[A-Z]im*", "lim.try"},  {"[L]im*", "lim.try"},
        {"[^k]im.try", "lim.try"},  {"[^a-k]*", "lim.try"},   {"lim\\.try", "lim.try"}, {"\\l*", "lim.try"},
        {"\\L*", "lim.try"},        {"[\\l]im*", "lim.try"},  {"*[y]", "lim.try"},      {"*[y", "lim.try"},
        {"*[xy", "lim.try"},        {"[l-]]im*", "lim.try"},  {"a\\", "a\\"},           {"[\\", "\\"},
        {"*aab", "aaaaaab"},        {"a*b*c", "abbbcbbc"},    {"[^]x]", "ax]"},         {"", ""},
        {"[a\\-c]", "-"},           {"*a*b*a*b*", "xaxbxaxb"}};
    (void)state;

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (!matches(pairs[i][0], pairs[i][1])) {
            fail_msg("%s does not match %s", pairs[i][0], pairs[i][1]);
        }
    }
}

static void test_does_not_match(void **state)
{
    static const char *const pairs[][2] = {{"", "lim.try"},
                                           {"lim", "lim.try"},
                                           {"lim.try.", "lim.try"},
                                           {"?", "lim.try"},
                                           {"????????*", "lim.try"},
                                           {"[^l]im*", "lim.try"},
                                           {"[^a-z]*", "lim.try"},
                                           {"[\\L]im*", "lim.try"},
                                           {"[ab]im*", "lim.try"},
                                           {"*.tri", "lim.try"},
                                           {"*a", "lim.try"},
                                           {"[", "l"},
                                           {"[]", "l"},
                                           {"[^]", ""},
                                           {"\\*", "lim.try"},
                                           {"lim\\?try", "lim.try"},
                                           {"a*b*c", "abbbcbb"},
                                           {"*b", "aaaa"},
                                           {"[\\-z]", "c"},
                                           {"?", ""}};
    (void)state;

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (matches(pairs[i][0], pairs[i][1])) {
            fail_msg("%s matches %s", pairs[i][0], pairs[i][1]);
        }
    }
}

/* What takes a matcher that tries every `*` at every place longer than anybody waits. */
static void test_many_stars_take_no_time(void **state)
{
    char pattern[2001], text[2001];
    (void)state;

    for (size_t i = 0; i < 2000; i += 2) {
        memcpy(pattern + i, "*a", 2);
    }
    memset(text, 'a', 2000);
    pattern[2000] = text[2000] = '\0';
    assert_true(matches(pattern, text));
    pattern[1999] = 'b';
    assert_false(matches(pattern, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_does_not_match),
        cmocka_unit_test(test_many_stars_take_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
