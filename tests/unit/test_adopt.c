/* Scripts taken for limiter commands: what a call becomes, what its reply becomes, and which rules cannot be. */
#include "limit_case.h"
#include "limiter/adopt.h"
#include "protocol/reply.h"

#define SHA "0123456789abcdef0123456789abcdef01234567"

static struct adopt_room room;

static struct adopt_table *table_of(const char *adopt, const char *returns, struct adopt_mistake *mistake)
{
    const struct adopt_spec spec = {.name = "a", .pattern = "k*", .adopt = adopt, .returns = returns};

    return adopt_table_new(&spec, 1, mistake);
}

/* The arguments of an EVALSHA behind its SHA1, as words. */
static const char *called(const char *adopt, const char *args)
{
    struct adopt_mistake mistake;
    struct adopt_table *table = table_of(adopt, "1", &mistake);
    const char *line = "none";

    assert_non_null(table);
    uint32_t argc = split(args);
    switch (adopt_call(table, (const uint8_t *)SHA, words, argc, &settings, &call, &room)) {
    case ADOPT_FITS:
        line = line_of_call();
        break;
    case ADOPT_MISFIT:
        snprintf(case_line, sizeof case_line, "-%s", room.error);
        line = case_line;
        break;
    case ADOPT_NONE:
        break;
    }
    adopt_table_free(table);
    return line;
}

#define MISFIT "-ERR respgate: limit.a does not fit this call of its script: "

static void test_calls(void **state)
{
    static const struct {
        const char *means, *args, *line;
    } cases[] = {
        {"SEM.ACQUIRE KEYS[1] ARGV[3] ARGV[5]*1000 ARGV[1]", "1 k t 1 4 0 60",
         "sem_acquire | k m:k | 4 60000000 t 1 plain"},
        {"sem.acquire KEYS[2] 5 600 ARGV[1] SLOTS", "2 x k2 t", "sem_acquire | k2 m:k2 | 5 600000 t 1 slots"},
        {"LIM.WINDOW KEYS[1] 100 ARGV[1] COST ARGV[2]", "1 k 60000 3 more",
         "lim_window | k | take 100 60000000 first 3 60000"},
        {"SEM.RELEASE KEYS[1] ARGV[1]", "1 k t", "sem_release | k m:k | t"},
        {"SEM.RELEASE KEYS[1] ARGV[1]", "1 other t", "none"},
        {"SEM.RELEASE KEYS[1] ARGV[1]", "x k t", "none"},
        {"SEM.RELEASE KEYS[1] ARGV[1]", "-1 k t", "none"},
        {"SEM.RELEASE KEYS[1] ARGV[1]", "3 k t", "none"},
        {"SEM.RELEASE KEYS[1] ARGV[1]", "2 k t", MISFIT "it has no ARGV[1]"},
        {"SEM.RELEASE KEYS[1] ARGV[1]", "0 k t", MISFIT "it has no KEYS[1]"},
        {"SEM.RELEASE KEYS[1] ARGV[1]", "1 k ", MISFIT "a token must not be empty or begin with a NUL byte"},
        {"SEM.ACQUIRE KEYS[1] 5 ARGV[1]*1000 t", "1 k 9223372036854775807",
         MISFIT "a number that is to be multiplied is not an integer or out of range"},
        {"SEM.ACQUIRE KEYS[1] 5 ARGV[1]*1000 t", "1 k 1.5",
         MISFIT "a number that is to be multiplied is not an integer or out of range"},
        {"SEM.ACQUIRE KEYS[1] 5 ARGV[1]*1000 t", "1 k -7", MISFIT "max and lease must be positive"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char adopt[256];

        snprintf(adopt, sizeof adopt, "%s %s", SHA, cases[i].means);
        assert_string_equal(called(adopt, cases[i].args), cases[i].line);
    }
}

/* Of two rules for one script the one whose keys these are. */
static void test_keys_choose_the_rule(void **state)
{
    const struct adopt_spec specs[] = {
        {.name = "one", .pattern = "a*", .adopt = SHA " SEM.CHECK KEYS[1] x", .returns = "1"},
        {.name = "two", .pattern = "b*", .adopt = SHA " SEM.CHECK KEYS[1] y", .returns = "1"},
    };
    struct adopt_mistake mistake;
    struct adopt_table *table = adopt_table_new(specs, 2, &mistake);
    (void)state;

    assert_int_equal(adopt_table_count(table), 2);
    assert_true(adopt_table_has(table, (const uint8_t *)"0123456789ABCDEF0123456789ABCDEF01234567", 40));
    assert_false(adopt_table_has(table, (const uint8_t *)SHA, 39));
    assert_int_equal(adopt_call(table, (const uint8_t *)SHA, words, split("1 bx"), &settings, &call, &room),
                     ADOPT_FITS);
    assert_ptr_equal(room.adoption, adopt_table_at(table, 1));
    assert_string_equal(line_of_call(), "sem_check | bx m:bx | y");
    adopt_table_free(table);
}

/* --- replies --- */

static const char *shaped(const char *means, const char *returns, const char *reply, unsigned resp)
{
    static uint8_t bytes[512];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof bytes - 1};
    struct adopt_mistake mistake;
    struct adopt_table *table = table_of(means, returns, &mistake);

    assert_non_null(table);
    const struct adopt_returns *read = &adopt_table_at(table, 0)->returns;
    for (size_t len = 0; len < strlen(reply); len++)
        assert_false(adopt_reply(read, (const uint8_t *)reply, len, resp, &w));
    bool good = adopt_reply(read, (const uint8_t *)reply, strlen(reply), resp, &w);
    bytes[w.len] = '\0';
    adopt_table_free(table);
    return good ? (const char *)bytes : "as it is";
}

#define SEM SHA " SEM.ACQUIRE KEYS[1] 5 60000 ARGV[1]"
#define LIM SHA " LIM.GCRA KEYS[1] 5 5 60000"
#define THROTTLE SHA " CL.THROTTLE KEYS[1] 4 5 60"
#define CHECK SHA " SEM.CHECK KEYS[1] ARGV[1]"
#define GRANTED "*10\r\n:1\r\n:2\r\n:5\r\n:1500\r\n:77\r\n:-1\r\n:0\r\n:-1\r\n:-1\r\n:0\r\n"
#define DENIED "*10\r\n:0\r\n:7\r\n:5\r\n:0\r\n:0\r\n:-1\r\n:0\r\n:1001\r\n:-1\r\n:1\r\n"
#define LIMITED "*8\r\n:0\r\n:5\r\n:0\r\n:2001\r\n:9000\r\n:1\r\n:0\r\n:1\r\n"

static void test_replies(void **state)
{
    (void)state;
    assert_string_equal(shaped(SEM, "1 | 0", GRANTED, 2), ":1\r\n");
    assert_string_equal(shaped(SEM, "1 | 0", DENIED, 2), ":0\r\n");
    assert_string_equal(shaped(SEM, "OK|nil", GRANTED, 3), "+OK\r\n");
    assert_string_equal(shaped(SEM, "OK|nil", DENIED, 2), "$-1\r\n");
    assert_string_equal(shaped(SEM, "OK|nil", DENIED, 3), "_\r\n");
    assert_string_equal(shaped(SEM, "[ used remaining limit fence slot lease_ms retry_s ]", GRANTED, 2),
                        "*7\r\n:2\r\n:3\r\n:5\r\n:77\r\n:-1\r\n:1500\r\n:-1\r\n");
    assert_string_equal(shaped(SEM, "1|[0 remaining retry_ms retry_s nil]", DENIED, 2),
                        "*5\r\n:0\r\n:0\r\n:1001\r\n:2\r\n$-1\r\n");
    assert_string_equal(shaped(SEM, "[] | 0", GRANTED, 2), "*0\r\n");
    assert_string_equal(shaped(LIM, "1 | [used retry_s reset_s reset_ms]", LIMITED, 2),
                        "*4\r\n:5\r\n:3\r\n:9\r\n:9000\r\n");
    assert_string_equal(shaped(THROTTLE, "[1 remaining reset_s] | -1", "*5\r\n:0\r\n:5\r\n:4\r\n:-1\r\n:12\r\n", 2),
                        "*3\r\n:1\r\n:4\r\n:12\r\n");
    assert_string_equal(shaped(THROTTLE, "0 | retry_s", "*5\r\n:1\r\n:5\r\n:0\r\n:12\r\n:60\r\n", 2), ":12\r\n");
    assert_string_equal(shaped(CHECK, "value", ":1234\r\n", 2), ":1234\r\n");
    assert_string_equal(shaped(CHECK, "1 | nil", ":0\r\n", 2), "$-1\r\n");
    assert_string_equal(shaped(CHECK, "1 | 0", "-ERR no\r\n", 2), "as it is");
    assert_string_equal(shaped(SEM, "1 | 0", ":1\r\n", 2), "as it is");
    assert_string_equal(shaped(LIM, "1 | 0", DENIED, 2), "as it is");
}

static void test_lua(void **state)
{
    struct adopt_mistake mistake;
    struct adopt_table *table = table_of(SEM, "[1 remaining] | [retry_s nil OK -3]", &mistake);
    (void)state;

    assert_string_equal(adopt_table_at(table, 0)->after,
                        "local r = limit()\nif type(r) == 'table' and r.err then\nreturn r\nend\n"
                        "if r[1] == 1 then\nreturn {1, math.max(0, r[3] - r[2])}\nend\n"
                        "return {r[8] > 0 and math.ceil(r[8] / 1000) or r[8], false, {ok = 'OK'}, -3}\n");
    adopt_table_free(table);
}

/* Where it is sent as text the script is a function, behind a first line that is no Lua. */
static void test_text(void **state)
{
    size_t len;
    (void)state;

    becomes("SEM.CHECK k t", "sem_check | k m:k | t");
    call.after = "return limit() + 1\n";
    for (int dialect = DIALECT_PLAIN; dialect <= DIALECT_UPSTASH; dialect++) {
        static const char first_line[] = "#!lua flags=allow-key-locking\n", open[] = "local function limit()\n";
        const char *script = limit_script(SCRIPT_sem_check, DIALECT_PLAIN)->text;
        char *bytes = (char *)encoded(dialect, LIMIT_EVAL, LIMIT_NEVER_US, &len);
        char *lua = memmem(bytes, len, open, sizeof open - 1);
        char *first = memmem(bytes, len, first_line, sizeof first_line - 1);

        assert_non_null(lua);
        assert_true(dialect == DIALECT_UPSTASH ? first && first + sizeof first_line - 1 == lua : !first);
        assert_memory_equal(lua, "local function limit()\n", 23);
        assert_memory_equal(lua + 23, script, strlen(script));
        assert_memory_equal(lua + 23 + strlen(script), "end\nreturn limit() + 1\n\r\n", 25);
        free(bytes);
    }
}

/* --- mistakes --- */

static void test_mistakes(void **state)
{
    static const struct {
        const char *adopt, *returns, *key, *text;
    } cases[] = {
        {"", "1", "adopt", "does not begin with a script's SHA1"},
        {"g123456789abcdef0123456789abcdef01234567 SEM.CHECK KEYS[1] x", "1", "adopt", "does not begin"},
        {SHA "0 SEM.CHECK KEYS[1] x", "1", "adopt", "does not begin"},
        {SHA " LIM.MULTI 1 KEYS[1]", "1", "adopt", "\"LIM.MULTI\" is none of"},
        {SHA " INCREX KEYS[1]", "1", "adopt", "\"INCREX\" is none of"},
        {SHA " SEM.CHECK", "1", "adopt", "its key, as in KEYS[1]"},
        {SHA " SEM.CHECK k x", "1", "adopt", "its key, as in KEYS[1]"},
        {SHA " SEM.CHECK KEYS[1]*2 x", "1", "adopt", "\"KEYS[1]*2\" is none of"},
        {SHA " SEM.CHECK KEYS[1] ARGV[1001]", "1", "adopt", "n from 1 to 1000"},
        {SHA " SEM.CHECK KEYS[1] ARGV[1]*0", "1", "adopt", "is none of"},
        {SHA " SEM.CHECK KEYS[1] ARGV[1]*", "1", "adopt", "is none of"},
        {SHA " SEM.CHECK KEYS[1] ARGV[", "1", "adopt", "is none of"},
        {SHA " SEM.CHECK KEYS[1] a b c", "1", "adopt", "SEM.CHECK: wrong number of arguments"},
        {SHA " LIM.GCRA KEYS[1] 5 0 1000", "1", "adopt", "LIM.GCRA: limit and period must be positive"},
        {SHA " SEM.ACQUIRE KEYS[1] 5 1 x FIFO", "1", "adopt", "neither WAIT nor FIFO"},
        {CHECK, "", "returns", "is not ALLOWED | DENIED"},
        {CHECK, "1 |", "returns", "is not ALLOWED | DENIED"},
        {CHECK, "1 2 | 0", "returns", "is not ALLOWED | DENIED"},
        {CHECK, "[1 | 0]", "returns", "is not ALLOWED | DENIED"},
        {CHECK, "1] | 0", "returns", "is not ALLOWED | DENIED"},
        {CHECK, "[1] 2", "returns", "is not ALLOWED | DENIED"},
        {CHECK, "limit | 0", "returns", "allowed are an integer, nil, OK, value"},
        {CHECK, "[1 2 3 4 5 6 7 8 9 10 11 12 13]", "returns", "more than 12 values"},
        {CHECK, "1 | 2 | 3", "returns", "more than one |"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct adopt_mistake mistake;

        assert_null(table_of(cases[i].adopt, cases[i].returns, &mistake));
        assert_string_equal(mistake.key, cases[i].key);
        if (!strstr(mistake.text, cases[i].text))
            fail_msg("%s: %s", cases[i].adopt, mistake.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),   cmocka_unit_test(test_keys_choose_the_rule),
        cmocka_unit_test(test_replies), cmocka_unit_test(test_lua),
        cmocka_unit_test(test_text),    cmocka_unit_test(test_mistakes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
