/* What KEYS, SCAN and RANDOMKEY become where companions are left out. */
#include "limit_case.h"
#include "limiter/visible.h"

static const struct command *row_of(const char *command, uint32_t *argc)
{
    *argc = split(command);
    return command_find(words[0].bytes, words[0].len, NULL, 0);
}

static const char *visible_line(const char *command)
{
    uint32_t argc;
    const struct command *row = row_of(command, &argc);

    assert_true(visible_concerns(row));
    return visible_call(&call, row, words, argc) ? line_of_call() : "as it is";
}

static void test_calls(void **state)
{
    static const struct {
        const char *command, *line;
    } cases[] = {
        {"KEYS *", "visible | | KEYS *"},
        {"keys r*", "visible | | KEYS r*"},
        {"SCAN 0", "visible | | SCAN 0"},
        {"SCAN rg:1 COUNT 5 MATCH x", "visible | | SCAN rg:1 COUNT 5 MATCH x"},
        {"RANDOMKEY", "visible | | RANDOMKEY"},
        {"KEYS", "as it is"},
        {"KEYS a b", "as it is"},
        {"RANDOMKEY x", "as it is"},
        {"SCAN", "as it is"},
        {"KEYS rg:*", "as it is"},
        {"SCAN 0 COUNT 5 match rg:{*", "as it is"},
        {"SCAN 0 MATCH RG:*", "visible | | SCAN 0 MATCH RG:*"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(visible_line(cases[i].command), cases[i].line);
}

static void test_others(void **state)
{
    static const char *const others[] = {"SSCAN k 0", "GET keys", "DBSIZE", "EXISTS k"};
    (void)state;

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        uint32_t argc;
        assert_false(visible_concerns(row_of(others[i], &argc)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_calls), cmocka_unit_test(test_others)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
