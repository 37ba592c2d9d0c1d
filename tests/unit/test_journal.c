/* What the journal keeps and tells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/health/journal.h"

static char *print(struct journal *journal, uint64_t after, uint64_t *last)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    *last = journal_print(journal, out, after, "|");
    fclose(out);
    return text;
}

static unsigned lines(const char *text)
{
    unsigned n = *text ? 1 : 0;

    for (; *text; text++)
        n += *text == '|';
    return n;
}

static void test_an_entry_is_one_line_of_json(void **state)
{
    struct journal *journal = journal_new();
    uint64_t last;
    char *text;

    (void)state;
    journal_write(journal, LOG_WARN, "it happened", LOG_NUM("times", -3), LOG_TEXT("why", "a \"quote\"\n"));
    text = print(journal, 0, &last);
    assert_int_equal(last, 1);
    assert_ptr_equal(strstr(text, "{\"n\":1,\"time\":\"20"), text);
    assert_non_null(strstr(
        text, "Z\",\"level\":\"warn\",\"event\":\"it happened\",\"times\":-3,\"why\":\"a \\\"quote\\\"\\u000a\"}"));
    free(text);
    journal_free(journal);
}

static void test_what_came_behind_a_number_is_told(void **state)
{
    struct journal *journal = journal_new();
    uint64_t last;
    char *text;

    (void)state;
    text = print(journal, 0, &last);
    assert_string_equal(text, "");
    assert_int_equal(last, 0);
    free(text);
    for (int i = 0; i < 3; i++)
        journal_write(journal, LOG_DEBUG, "e", LOG_END);
    text = print(journal, 1, &last);
    assert_int_equal(lines(text), 2);
    assert_non_null(strstr(text, "{\"n\":2,"));
    free(text);
    text = print(journal, 3, &last);
    assert_string_equal(text, "");
    assert_int_equal(last, 3);
    free(text);
    journal_free(journal);
}

static void test_the_oldest_make_room(void **state)
{
    struct journal *journal = journal_new();
    uint64_t last;
    char *text;

    (void)state;
    for (int i = 0; i < JOURNAL_KEPT + 7; i++)
        journal_write(journal, LOG_DEBUG, "e", LOG_END);
    assert_int_equal(journal_last(journal), JOURNAL_KEPT + 7);
    text = print(journal, 0, &last);
    assert_int_equal(lines(text), JOURNAL_KEPT);
    assert_ptr_equal(strstr(text, "{\"n\":8,"), text);
    free(text);
    journal_free(journal);
}

static void count_call(void *arg)
{
    ++*(int *)arg;
}

static void test_the_listener_hears_each_entry_until_it_leaves(void **state)
{
    struct journal *journal = journal_new();
    int calls = 0;

    (void)state;
    journal_listen(journal, count_call, &calls);
    journal_write(journal, LOG_DEBUG, "e", LOG_END);
    journal_write(journal, LOG_DEBUG, "e", LOG_END);
    journal_listen(journal, NULL, NULL);
    journal_write(journal, LOG_DEBUG, "e", LOG_END);
    assert_int_equal(calls, 2);
    journal_free(journal);
}

static void test_text_is_for_people(void **state)
{
    struct journal *journal = journal_new();
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    journal_write(journal, LOG_INFO, "first", LOG_END);
    journal_write(journal, LOG_INFO, "it happened", LOG_NUM("times", 2), LOG_TEXT("url", "redis://x"),
                  LOG_TEXT("why", "none at all"), LOG_TEXT("empty", ""));
    journal_print_text(journal, out, 1);
    fclose(out);
    assert_string_equal(text + strlen("13:10:32"), " it happened times=2 why=none at all\n");
    free(text);
    journal_free(journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entry_is_one_line_of_json),
        cmocka_unit_test(test_what_came_behind_a_number_is_told),
        cmocka_unit_test(test_the_oldest_make_room),
        cmocka_unit_test(test_text_is_for_people),
        cmocka_unit_test(test_the_listener_hears_each_entry_until_it_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
