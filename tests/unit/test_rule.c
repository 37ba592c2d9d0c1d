/* Rules by name, and LIM.TRY as the explicit call it stands for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limiter/rule.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct rule_spec specs[] = {
    {.name = "runs", .kind = RULE_SEMAPHORE, .max = 5, .lease_ms = 600000},
    {.name = "api",
     .prefix = "",
     .kind = RULE_GCRA,
     .count = 100,
     .period_ms = 60000,
     .burst = 20,
     .on_backend_down = RULE_DOWN_LOCAL,
     .deny_cache = true,
     .shadow = true,
     .local_share = 33},
    {.name = "api-2", .kind = RULE_GCRA, .count = 7, .period_ms = 1000},
    {.name = "otp", .prefix = "otp:", .kind = RULE_SLIDE_LOG, .count = 5, .period_ms = 900000},
    {.name = "hits", .kind = RULE_SLIDE, .count = 9, .period_ms = 1500},
    {.name = "day", .kind = RULE_WINDOW, .count = 1000000000, .period_ms = INT64_C(8784) * 3600000},
};

static struct rule_table *table;
static struct rule_call call;
static uint8_t key[64];

static int open_table(void **state)
{
    (void)state;
    table = rule_table_new(specs, COUNT(specs));
    return table ? 0 : 1;
}

static int close_table(void **state)
{
    (void)state;
    rule_table_free(table);
    return 0;
}

/* Words separated by single blanks; an empty word is an empty argument. */
static size_t cut(const char *text, const uint8_t *argv[32], size_t lens[32])
{
    size_t n = 0;

    for (;; text++) {
        argv[n] = (const uint8_t *)text;
        lens[n] = strcspn(text, " ");
        text += lens[n++];
        if (!*text)
            return n;
        assert_true(n < 32);
    }
}

static bool expand(const char *text)
{
    const uint8_t *argv[32];
    size_t lens[32];
    size_t n = cut(text, argv, lens);

    memset(&call, 0x5a, sizeof call);
    memset(key, '#', sizeof key);
    if (n > 2)
        assert_true(rule_key_room(table, lens[2]) <= sizeof key);
    bool good = rule_expand(table, argv, lens, n, key, &call);
    if (n > 2 && good)
        assert_int_equal(key[rule_key_room(table, lens[2])], '#');
    return good;
}

static void becomes(const char *text, const char *want)
{
    char got[512] = "";

    if (!expand(text))
        fail_msg("%s", call.error);
    for (size_t i = 0; i < call.argc; i++) {
        strcat(got, i > 0 ? " " : "");
        strncat(got, (const char *)call.argv[i], call.lens[i]);
    }
    assert_string_equal(got, want);
}

static void refused(const char *text, const char *want)
{
    assert_false(expand(text));
    assert_string_equal(call.error, want);
}

static void test_find(void **state)
{
    (void)state;
    assert_int_equal(rule_table_count(table), COUNT(specs));
    for (size_t i = 0; i < COUNT(specs); i++) {
        const struct rule *rule = rule_find(table, (const uint8_t *)specs[i].name, strlen(specs[i].name));
        assert_non_null(rule);
        assert_string_equal(rule->name, specs[i].name);
    }
    static const char *const absent[] = {"", "a", "ap", "api-", "api-22", "API", "zz", "da", "run", "runss"};
    for (size_t i = 0; i < COUNT(absent); i++)
        assert_null(rule_find(table, (const uint8_t *)absent[i], strlen(absent[i])));
    assert_null(rule_find(table, (const uint8_t *)"api\0", 4));
    for (size_t i = 1; i < COUNT(specs); i++)
        assert_true(strcmp(rule_at(table, i - 1)->name, rule_at(table, i)->name) < 0);
}

static void test_values(void **state)
{
    (void)state;
    const struct rule *api = rule_find(table, (const uint8_t *)"api", 3);
    assert_string_equal(api->prefix, "rl:api:");
    assert_int_equal(api->limit, 20);
    assert_true(api->shadow);
    assert_int_equal(api->local_share, 33);
    assert_int_equal(api->on_backend_down, RULE_DOWN_LOCAL);
    assert_true(api->deny_cache);
    const struct rule *runs = rule_find(table, (const uint8_t *)"runs", 4);
    assert_int_equal(runs->limit, 5);
    assert_int_equal(runs->count, 0);
    assert_int_equal(runs->period_ms, 600000);
    assert_false(runs->shadow);
}

static void test_expand(void **state)
{
    (void)state;
    becomes("LIM.TRY api u1", "LIM.GCRA rl:api:u1 20 100 60000");
    becomes("lim.try api-2 u1", "LIM.GCRA rl:api-2:u1 7 7 1000");
    becomes("LIM.TRY api u1 COST 3 IDEM x", "LIM.GCRA rl:api:u1 20 100 60000 COST 3 IDEM x");
    becomes("LIM.TRY api ", "LIM.GCRA rl:api: 20 100 60000");
    becomes("LIM.TRY otp tel peek", "LIM.SLIDE otp:tel 5 900000 LOG peek");
    becomes("LIM.TRY hits h COST 2", "LIM.SLIDE rl:hits:h 9 1500 COUNTER COST 2");
    becomes("LIM.TRY day d ALIGN EPOCH", "LIM.WINDOW rl:day:d 1000000000 31622400000 ALIGN EPOCH");
    becomes("LIM.TRY runs t1 TOKEN abc", "SEM.ACQUIRE rl:runs:t1 5 600000 abc");
    becomes("LIM.TRY runs t1 token TOKEN WAIT 50 FIFO", "SEM.ACQUIRE rl:runs:t1 5 600000 TOKEN WAIT 50 FIFO");
    becomes("LIM.TRY api u1 COST TOKEN", "LIM.GCRA rl:api:u1 20 100 60000 COST TOKEN");
    assert_string_equal(call.rule->name, "api");
}

static void test_binary_subject(void **state)
{
    static const char subject[] = "{a}\0 \r\n";
    const uint8_t *argv[] = {(const uint8_t *)"LIM.TRY", (const uint8_t *)"otp", (const uint8_t *)subject};
    size_t lens[] = {7, 3, sizeof subject - 1};

    (void)state;
    assert_true(rule_expand(table, argv, lens, 3, key, &call));
    assert_int_equal(call.lens[1], 4 + sizeof subject - 1);
    assert_memory_equal(call.argv[1], "otp:{a}\0 \r\n", call.lens[1]);
}

static void test_errors(void **state)
{
    (void)state;
    refused("LIM.TRY", "ERR wrong number of arguments for 'lim.try' command");
    refused("LIM.TRY api", "ERR wrong number of arguments for 'lim.try' command");
    refused("LIM.TRY apis u1", "ERR no limit rule is named 'apis'");
    refused("LIM.TRY  u1", "ERR no limit rule is named ''");
    refused("LIM.TRY o\r\n'\xff u1", "ERR no limit rule is named 'o\?\?\?\?'");
    refused("LIM.TRY 1234567890123456789012345678901234567890 u1",
            "ERR no limit rule is named '1234567890123456789012345678901234567890'");
    refused("LIM.TRY 12345678901234567890123456789012345678901 u1",
            "ERR no limit rule is named '1234567890123456789012345678901234567890...'");
    static const char semaphore[] = "ERR limit rule 'runs' is a semaphore: LIM.TRY name subject TOKEN token";
    refused("LIM.TRY runs t1", semaphore);
    refused("LIM.TRY runs t1 TOKEN", semaphore);
    refused("LIM.TRY runs t1 COST 1 TOKEN abc", semaphore);
    refused("LIM.TRY runs t1 TOKENS abc", semaphore);
    refused("LIM.TRY api u1 TOKEN abc", "ERR limit rule 'api' counts calls and takes no TOKEN");
    assert_string_equal(call.rule->name, "api");
    becomes("LIM.TRY api u 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22",
            "LIM.GCRA rl:api:u 20 100 60000 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22");
    assert_int_equal(call.argc, RULE_ARGS_MAX);
    refused("LIM.TRY api u 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23",
            "ERR limit rule 'api' takes fewer arguments");
}

/* A name that another begins with, on both sides of it. */
static void test_names_within_names(void **state)
{
    static const struct rule_spec within[] = {{.name = "abc"}, {.name = "ab"}, {.name = "a"}};
    struct rule_table *names = rule_table_new(within, COUNT(within));

    (void)state;
    assert_non_null(names);
    for (size_t len = 1; len <= 3; len++)
        assert_int_equal(strlen(rule_find(names, (const uint8_t *)"abc", len)->name), len);
    assert_null(rule_find(names, (const uint8_t *)"abcd", 4));
    rule_table_free(names);
}

static const char *owner_of(const struct rule_table *of, const char *name)
{
    const struct rule *rule = rule_of_key(of, (const uint8_t *)name, strlen(name));

    return rule ? rule->name : "";
}

static void test_whose_key(void **state)
{
    static const struct rule_spec within[] = {
        {.name = "outer", .prefix = "a:", .kind = RULE_WINDOW, .count = 1, .period_ms = 1},
        {.name = "inner", .prefix = "a:b:", .kind = RULE_WINDOW, .count = 1, .period_ms = 1},
    };
    struct rule_table *nested = rule_table_new(within, COUNT(within));

    (void)state;
    assert_string_equal(owner_of(table, "rl:runs:tenant"), "runs");
    assert_string_equal(owner_of(table, "otp:"), "otp");
    assert_string_equal(owner_of(table, "otp"), "");
    assert_string_equal(owner_of(table, "rl:api-2:x"), "api-2");
    assert_string_equal(owner_of(nested, "a:c"), "outer");
    assert_string_equal(owner_of(nested, "a:b:c"), "inner");
    for (size_t i = 0; i < rule_table_count(table); i++)
        assert_int_equal(rule_at(table, i)->index, i);
    rule_table_free(nested);
}

static void test_no_rules(void **state)
{
    struct rule_table *none = rule_table_new(NULL, 0);
    const uint8_t *argv[] = {(const uint8_t *)"LIM.TRY", (const uint8_t *)"a", (const uint8_t *)"b"};
    size_t lens[] = {7, 1, 1};

    (void)state;
    assert_non_null(none);
    assert_int_equal(rule_table_count(none), 0);
    assert_int_equal(rule_key_room(none, 1), 1);
    assert_false(rule_expand(none, argv, lens, 3, key, &call));
    assert_string_equal(call.error, "ERR no limit rule is named 'a'");
    rule_table_free(none);
    rule_table_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),     cmocka_unit_test(test_values),
        cmocka_unit_test(test_expand),   cmocka_unit_test(test_binary_subject),
        cmocka_unit_test(test_errors),   cmocka_unit_test(test_whose_key),
        cmocka_unit_test(test_no_rules), cmocka_unit_test(test_names_within_names),
    };
    return cmocka_run_group_tests(tests, open_table, close_table);
}
