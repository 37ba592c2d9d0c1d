/* What a client's command is to the rules of repair, the script that it becomes, and what it is told without one. */
#include "limit_case.h"
#include "limiter/repair_call.h"
#include "protocol/reply.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct repair_rule rules[] = {
    {.name = "runs", .pattern = "z:*", .kind = REPAIR_ZSET, .max = 5},
    {.name = "jobs", .pattern = "s:*", .kind = REPAIR_SET, .max = 5, .late = REPAIR_LATE_ERROR, .ttl_ms = 9},
    {.name = "queue", .pattern = "l:*", .kind = REPAIR_LIST, .max = 5, .late = REPAIR_LATE_REJECT},
    {.name = "otp", .pattern = "c:*", .kind = REPAIR_COUNTER, .max = 5, .late = REPAIR_LATE_REJECT, .ttl_ms = 60000},
    {.name = "rate", .pattern = "?:*", .kind = REPAIR_INCR, .ttl_ms = 60000},
    {.name = "capped", .pattern = "cap:*", .kind = REPAIR_INCR, .ttl_ms = 1000, .max = 30},
    {.name = "strict", .pattern = "zz:*", .kind = REPAIR_ZSET, .max = 5, .late = REPAIR_LATE_REJECT},
};

static struct repair_table *table;
static struct repair_command command;
static struct repair_terms terms = {.max = 4, .refused = 7, .hold_us = 250000, .owner = 0xabc, .number = 31, .resp = 2};

static int open_table(void **state)
{
    (void)state;
    table = repair_table_new(rules, COUNT(rules));
    return table ? 0 : 1;
}

static int close_table(void **state)
{
    (void)state;
    repair_table_free(table);
    return 0;
}

static bool classify(uint32_t argc)
{
    return repair_classify(&command, table, command_find(words[0].bytes, words[0].len, NULL, 0), words, argc);
}

/* "rule: script | KEYS | ARGV", "rule: looked at", or "-" where no rule has to do with it. */
static const char *repaired(const char *text)
{
    static char line[sizeof case_line + 64];

    if (!classify(split(text)))
        return "-";
    if (!repair_has_script(&command)) {
        snprintf(line, sizeof line, "%s: looked at", command.rule->name);
        return line;
    }
    repair_call(&call, &command, &terms);
    snprintf(line, sizeof line, "%s: %s", command.rule->name, line_of_call());
    return line;
}

static void is(const char *text, const char *line)
{
    const char *got = repaired(text);

    if (strcmp(got, line) != 0)
        fail_msg("%s\n  is  %s\n  not %s", text, got, line);
}

#define OWNER "0000000000000abc"

static void test_checks(void **state)
{
    (void)state;
    is("ZCARD z:1", "runs: repair_check | z:1 p:z:1 | 4 250000 " OWNER ":1f 7 ZCARD");
    assert_true(call.repeatable);
    is("zcount z:1 (5 +inf", "runs: repair_check | z:1 p:z:1 | 4 250000 " OWNER ":1f 7 zcount (5 +inf");
    is("SCARD s:1", "jobs: repair_check | s:1 p:s:1 | 4 250000 " OWNER ":1f 7 SCARD");
    is("LLEN l:1", "queue: repair_check | l:1 p:l:1 | 4 250000 " OWNER ":1f 7 LLEN");
    is("GET c:1", "otp: repair_check | c:1 p:c:1 | 4 250000 " OWNER ":1f 7 GET");
}

static void test_acts(void **state)
{
    (void)state;
    is("ZADD z:1 1e17 t",
       "runs: repair_act | z:1 p:z:1 | 5 " OWNER " record runs 0 2 ZCARD ZSCORE 15 2 tell ZADD 1e17 t");
    assert_false(call.repeatable);
    is("ZADD z:1 nx CH 1 t 2 u",
       "runs: repair_act | z:1 p:z:1 | 5 " OWNER " record runs 0 2 ZCARD ZSCORE 17 2 tell ZADD nx CH 1 t 2 u");
    is("ZADD z:1 GT INCR 1 t",
       "runs: repair_act | z:1 p:z:1 | 5 " OWNER " record runs 0 2 ZCARD ZSCORE 17 2 tell ZADD GT INCR 1 t");
    is("ZINCRBY z:1 1 t",
       "runs: repair_act | z:1 p:z:1 | 5 " OWNER " record runs 0 2 ZCARD ZSCORE 15 1 tell ZINCRBY 1 t");
    is("SADD s:1 t u", "jobs: repair_act | s:1 p:s:1 | 5 " OWNER " error jobs 9 2 SCARD SISMEMBER 14 1 tell SADD t u");
    is("RPUSH l:1 t u", "queue: repair_act | l:1 p:l:1 | 5 " OWNER " zero queue 0 2 LLEN  2 0 tell RPUSH t u");
    is("LPUSHX l:1 t", "queue: repair_act | l:1 p:l:1 | 5 " OWNER " zero queue 0 2 LLEN  1 0 tell LPUSHX t");
    is("INCR c:1", "otp: repair_act | c:1 p:c:1 | 5 " OWNER " above otp 60000 2 GET  1 0 tell INCR");
    is("INCRBY c:1 3", "otp: repair_act | c:1 p:c:1 | 5 " OWNER " above otp 60000 2 GET  3 0 tell INCRBY 3");
    is("DECRBY c:1 -3", "otp: repair_act | c:1 p:c:1 | 5 " OWNER " above otp 60000 2 GET  3 0 tell DECRBY -3");
    is("INCRBY c:1 9223372036854775807", "otp: repair_act | c:1 p:c:1 | 5 " OWNER
                                         " above otp 60000 2 GET  9007199254740991 0 tell INCRBY 9223372036854775807");
    is("DECRBY c:1 -9223372036854775808",
       "otp: repair_act | c:1 p:c:1 | 5 " OWNER
       " above otp 60000 2 GET  9007199254740991 0 tell DECRBY -9223372036854775808");
}

static void test_acts_that_are_rejected_or_take_no_reservation(void **state)
{
    (void)state;
    is("ZADD zz:1 1 t",
       "strict: repair_act | zz:1 p:zz:1 | 5 " OWNER " zero strict 0 2 ZCARD ZSCORE 15 2 tell ZADD 1 t");
    is("ZADD zz:1 INCR 1 t",
       "strict: repair_act | zz:1 p:zz:1 | 5 " OWNER " null strict 0 2 ZCARD ZSCORE 16 2 tell ZADD INCR 1 t");
    is("ZINCRBY zz:1 1 t",
       "strict: repair_act | zz:1 p:zz:1 | 5 " OWNER " text strict 0 2 ZCARD ZSCORE 15 1 tell ZINCRBY 1 t");
    terms.free_only = true;
    terms.resp = 3;
    is("ZADD z:1 1 t", "runs: repair_act | z:1 p:z:1 | 5  record runs 0 3 ZCARD ZSCORE 15 2 tell ZADD 1 t");
    assert_int_equal(call.shape, LIMIT_TOLD);
    terms.free_only = false;
    terms.resp = 2;
    terms.plain = true;
    is("SADD s:1 t", "jobs: repair_act | s:1 p:s:1 | 5 " OWNER " error jobs 9 2 SCARD SISMEMBER 14 1 plain SADD t");
    assert_int_equal(call.shape, LIMIT_AS_IT_IS);
    terms.plain = false;
}

static void test_counts(void **state)
{
    (void)state;
    is("INCR r:1", "rate: repair_incr | r:1 | 60000  1 INCR");
    is("INCRBY r:1 7", "rate: repair_incr | r:1 | 60000  7 INCRBY 7");
    is("DECR r:1", "rate: repair_incr | r:1 | 60000  0 DECR");
    is("INCRBYFLOAT r:1 1.5", "rate: repair_incr | r:1 | 60000  0 INCRBYFLOAT 1.5");
    is("INCR cap:1", "capped: repair_incr | cap:1 | 1000 30 1 INCR");
    is("DECRBY cap:1 5", "capped: repair_incr | cap:1 | 1000  0 DECRBY 5");
    is("DECRBY cap:1 -5", "capped: repair_incr | cap:1 | 1000 30 5 DECRBY -5");
}

static void test_purges(void **state)
{
    (void)state;
    is("ZREMRANGEBYSCORE z:1 0 (5", "runs: repair_purge | z:1 m:z:1 | ZREMRANGEBYSCORE 0 (5");
    is("ZREMRANGEBYSCORE z:1 0", "-");
    is("ZREMRANGEBYSCORE s:1 0 5", "-");
}

static void test_who_leaves(void **state)
{
    (void)state;
    assert_true(classify(split("ZCARD z:1")));
    repair_call_leave(&call, &command.args[1], terms.owner, 50000);
    assert_string_equal(line_of_call(), "repair_leave | z:1 p:z:1 | " OWNER " 50000");
}

static bool has_place(const char *text, const char *reply)
{
    assert_true(classify(split(text)));
    return repair_has_place(&command, &terms, (const uint8_t *)reply, strlen(reply));
}

static void test_who_has_a_place(void **state)
{
    struct repair_terms before = terms;
    (void)state;

    assert_true(has_place("ZCARD z:1", ":3\r\n") && has_place("GET c:1", "$-1\r\n") &&
                has_place("GET c:1", "$1\r\n3\r\n"));
    assert_false(has_place("ZCARD z:1", ":4\r\n") || has_place("ZCARD z:1", "-ERR\r\n"));
    assert_false(has_place("ZADD z:1 1 m", ":1\r\n"));
    terms.hold_us = 0;
    assert_false(has_place("ZCARD z:1", ":3\r\n"));
    terms = before;
}

static void test_what_is_only_looked_at(void **state)
{
    (void)state;
    is("EXPIRE r:1 60", "rate: looked at");
    is("PEXPIREAT c:1 60 NX", "otp: looked at");
}

/* Their own errors stay their own, and what adds nothing needs no place. */
static void test_what_passes(void **state)
{
    static const char *const passing[] = {
        "ZCARD s:1",
        "ZCARD z",
        "SCARD z:1",
        "GET z:1",
        "GET r:1",
        "ZCARD z:1 x",
        "ZCARD",
        "ZCOUNT z:1 -inf +INF",
        "ZADD z:1 XX 1 t",
        "ZADD z:1 CH xx 1 t",
        "ZADD z:1 XX INCR 1 t",
        "ZADD z:1 1",
        "ZADD z:1 1 t 2",
        "ZADD z:1 NX CH",
        "ZADD z:1 NX GT 1 t",
        "ZADD z:1 GT LT 1 t",
        "ZADD z:1 INCR 1 t 2 u",
        "ZINCRBY z:1 1",
        "SADD s:1",
        "INCRBY r:1 x",
        "INCRBY c:1 1.5",
        "INCRBY c:1 0",
        "INCRBY c:1 -1",
        "DECR c:1",
        "DECRBY c:1 4",
        "INCR c:1 1",
        "ZREM z:1 t",
        "SET c:1 5",
        "nonsense z:1",
    };
    (void)state;

    for (size_t i = 0; i < COUNT(passing); i++)
        is(passing[i], "-");
}

/* The first rule of the right kind, so that counters of kind counter are not merely counted. */
static void test_rules_are_found_by_pattern_and_kind(void **state)
{
    (void)state;
    assert_ptr_equal(repair_table_find(table, REPAIR_INCR, (const uint8_t *)"c:1", 3), repair_table_at(table, 4));
    assert_ptr_equal(repair_table_find(table, REPAIR_INCR | REPAIR_COUNTER, (const uint8_t *)"c:1", 3),
                     repair_table_at(table, 3));
    assert_null(repair_table_find(table, REPAIR_ZSET, (const uint8_t *)"z", 1));
    assert_int_equal(repair_table_count(table), COUNT(rules));
    struct repair_table *empty = repair_table_new(NULL, 0);

    assert_null(repair_table_find(empty, UINT32_MAX, (const uint8_t *)"z:1", 3));
    repair_table_free(empty);
    repair_table_free(NULL);
}

static uint32_t many(const char *text, uint32_t argc)
{
    uint32_t n = split(text);

    for (; n < argc; n++)
        words[n] = words[n - 2];
    return argc;
}

static void test_commands_of_which_only_the_name_or_the_key_is_known(void **state)
{
    const struct command *zadd = command_find((const uint8_t *)"ZADD", 4, NULL, 0);
    const struct command *sadd = command_find((const uint8_t *)"SADD", 4, NULL, 0);
    const struct command *set = command_find((const uint8_t *)"SET", 3, NULL, 0);
    const struct repair_rule one[] = {{.name = "z", .pattern = "z:*", .kind = REPAIR_ZSET}};
    struct repair_table *few = repair_table_new(one, 1);
    (void)state;

    assert_true(repair_may_concern(few, zadd));
    assert_false(repair_may_concern(few, sadd) || repair_may_concern(few, set));
    assert_ptr_equal(repair_rule_of(few, zadd, (const uint8_t *)"z:1", 3), repair_table_at(few, 0));
    assert_null(repair_rule_of(few, zadd, (const uint8_t *)"y:1", 3));
    assert_null(repair_rule_of(few, sadd, (const uint8_t *)"z:1", 3));
    assert_true(repair_table_may_begin(few, 'z'));
    assert_false(repair_table_may_begin(few, 'y') || repair_table_may_begin(few, 0));
    repair_table_free(few);
}

static void test_monitors_are_known_by_name(void **state)
{
    const struct repair_rule rule = {.name = "z", .pattern = "z:*", .monitors = " top grafana ", .kind = REPAIR_ZSET};
    struct repair_table *one = repair_table_new(&rule, 1);
    (void)state;

    assert_true(repair_rule_is_monitor(repair_table_at(one, 0), "top"));
    assert_true(repair_rule_is_monitor(repair_table_at(one, 0), "grafana"));
    assert_false(repair_rule_is_monitor(repair_table_at(one, 0), "to"));
    assert_false(repair_rule_is_monitor(repair_table_at(one, 0), "top grafana"));
    assert_false(repair_rule_is_monitor(repair_table_at(one, 0), ""));
    assert_false(repair_rule_is_monitor(repair_table_at(table, 0), "top"));
    repair_table_free(one);
}

static void test_as_many_members_as_a_script_takes(void **state)
{
    static const struct {
        const char *text;
        uint32_t most, step;
    } cases[] = {{"SADD s:1 t u", 1002, 1}, {"RPUSH l:1 t u", 1002, 1}};
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(classify(many(cases[i].text, cases[i].most)));
        assert_false(repair_too_many(&command));
        repair_call(&call, &command, &terms);
        assert_true(classify(many(cases[i].text, cases[i].most + cases[i].step)));
        assert_true(repair_too_many(&command));
    }
    assert_true(classify(split("ZCARD z:1")) && !repair_too_many(&command));
}

/* Scores and members alternate, behind as many flags as anyone cares to repeat. */
static void test_as_many_scores_as_a_script_takes(void **state)
{
    static struct limit_slice args[2020];
    struct limit_slice flag = {(const uint8_t *)"CH", 2}, one = {(const uint8_t *)"1", 1};
    const struct command *row = command_find((const uint8_t *)"ZADD", 4, NULL, 0);
    (void)state;

    split("ZADD z:1");
    for (uint32_t flags = 0; flags < 12; flags++) {
        for (uint32_t i = 0; i < COUNT(args); i++)
            args[i] = i < 2 ? words[i] : i < 2 + flags ? flag : one;
        assert_true(repair_classify(&command, table, row, args, 2 + flags + 2000));
        assert_int_equal(command.places, 1000);
        assert_int_equal(repair_too_many(&command), flags > 6);
        if (flags <= 6)
            repair_call(&call, &command, &terms);
        assert_true(repair_classify(&command, table, row, args, 2 + flags + 2002) && repair_too_many(&command));
    }
}

/* Of the arguments behind EVAL and its text. */
static const char *shown(const char *args, const char *text)
{
    static const struct repair_rule zsets[] = {
        {.name = "a", .pattern = "z:*", .kind = REPAIR_ZSET, .mode = REPAIR_ENFORCE, .max = 5, .shows = true},
        {.name = "b", .pattern = "y:*", .kind = REPAIR_ZSET, .mode = REPAIR_ENFORCE, .max = 5},
        {.name = "c", .pattern = "x:*", .kind = REPAIR_SET, .mode = REPAIR_ENFORCE, .max = 5},
    };
    struct repair_table *all = repair_table_new(zsets, COUNT(zsets));
    struct limit_slice script = {(const uint8_t *)text, strlen(text)};
    uint32_t argc = split(args);
    bool good = repair_call_show(&call, all, words, argc, &script);

    assert_true(repair_table_shows(all) && !repair_table_shows(table));
    repair_table_free(all);
    return good ? line_of_call() : "as it is";
}

static void test_showing_reservations(void **state)
{
    size_t len;
    (void)state;

    assert_string_equal(shown("1 z:1 a b", "return 1"), "repair_show | z:1 p:z:1 | 1 1 a b");
    assert_string_equal(shown("4 y:1 z:1 x:1 z:2", "return 1"), "repair_show | y:1 z:1 x:1 z:2 p:z:1 p:z:2 | 4 2 4");
    assert_string_equal(shown("1 y:1 z:1", "return 1"), "as it is");
    assert_string_equal(shown("0 z:1", "return 1"), "as it is");
    assert_string_equal(shown("3 z:1 a", "return 1"), "as it is");
    assert_string_equal(shown("x z:1", "return 1"), "as it is");
    assert_string_equal(shown("1 z:1", "#!lua\nreturn 1"), "as it is");
    assert_string_equal(shown("1 z:1", "return 7"), "repair_show | z:1 p:z:1 | 1 1");
    char *bytes = (char *)encoded(DIALECT_UPSTASH, LIMIT_EVAL, LIMIT_NEVER_US, &len);
    static const char begins[] = "\r\n#!lua flags=allow-key-locking\nlocal function client(KEYS, ARGV) return 7\nend\n"
                                 "local call, try";
    assert_non_null(memmem(bytes, len, begins, sizeof begins - 1));
    free(bytes);
}

static void test_owners_differ(void **state)
{
    (void)state;
    assert_true(repair_owner(1, 1) != repair_owner(1, 2) && repair_owner(1, 1) != repair_owner(2, 1));
    assert_true(repair_owner(1, 1) == repair_owner(1, 1));
}

static void told_down(const char *text, bool allow, unsigned resp, const char *reply)
{
    uint8_t bytes[512];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof bytes};

    assert_true(classify(split(text)));
    repair_down(&w, &command, allow, 1000, resp);
    if (w.len != strlen(reply) || memcmp(bytes, reply, w.len) != 0)
        fail_msg("%s is told %.*s, not %s", text, (int)w.len, (const char *)bytes, reply);
}

static void test_without_a_backend(void **state)
{
    static const char unavailable[] = "-RGUNAVAIL no backend is usable; nothing was sent, safe to retry\r\n";
    (void)state;

    told_down("ZCARD z:1", false, 2, ":1000\r\n");
    told_down("ZCARD z:1", true, 2, ":0\r\n");
    told_down("GET c:1", false, 2, "$4\r\n1000\r\n");
    told_down("GET c:1", true, 2, "$-1\r\n");
    told_down("GET c:1", true, 3, "_\r\n");
    told_down("ZADD z:1 1 t 2 u", false, 2, ":0\r\n");
    told_down("ZADD z:1 1 t 2 u", true, 2, ":2\r\n");
    told_down("ZADD z:1 INCR 1.5 t", false, 2, "$-1\r\n");
    told_down("ZADD z:1 INCR 1.5 t", true, 2, "$3\r\n1.5\r\n");
    told_down("ZADD z:1 INCR 0x10 t", true, 3, ",16\r\n");
    told_down("ZINCRBY z:1 1.5 t", true, 3, ",1.5\r\n");
    told_down("ZINCRBY z:1 1.5 t", false, 3, ",0\r\n");
    told_down("ZINCRBY z:1 x t", true, 2, "$1\r\n0\r\n");
    told_down("SADD s:1 t", true, 2, ":1\r\n");
    told_down("RPUSH l:1 t u v", true, 2, ":3\r\n");
    told_down("RPUSH l:1 t u v", false, 2, ":0\r\n");
    told_down("INCRBY c:1 3", true, 2, ":3\r\n");
    told_down("INCRBY c:1 3", false, 2, ":6\r\n");
    told_down("INCR r:1", true, 2, ":1\r\n");
    told_down("INCR r:1", false, 2, unavailable);
    told_down("DECR r:1", true, 2, unavailable);
    told_down("INCRBYFLOAT r:1 1", true, 2, unavailable);
    told_down("INCR cap:1", false, 2, ":31\r\n");
    told_down("ZREMRANGEBYSCORE z:1 0 9", false, 2, ":0\r\n");
    told_down("ZREMRANGEBYSCORE z:1 0 9", true, 2, ":0\r\n");
    told_down("EXPIRE r:1 9", false, 2, ":0\r\n");
    told_down("EXPIRE r:1 9", true, 2, ":1\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_acts),
        cmocka_unit_test(test_acts_that_are_rejected_or_take_no_reservation),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_purges),
        cmocka_unit_test(test_who_leaves),
        cmocka_unit_test(test_who_has_a_place),
        cmocka_unit_test(test_what_is_only_looked_at),
        cmocka_unit_test(test_what_passes),
        cmocka_unit_test(test_rules_are_found_by_pattern_and_kind),
        cmocka_unit_test(test_commands_of_which_only_the_name_or_the_key_is_known),
        cmocka_unit_test(test_monitors_are_known_by_name),
        cmocka_unit_test(test_as_many_members_as_a_script_takes),
        cmocka_unit_test(test_as_many_scores_as_a_script_takes),
        cmocka_unit_test(test_showing_reservations),
        cmocka_unit_test(test_owners_differ),
        cmocka_unit_test(test_without_a_backend),
    };
    return cmocka_run_group_tests(tests, open_table, close_table);
}
