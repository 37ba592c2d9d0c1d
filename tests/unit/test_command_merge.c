/* A server's answers with our own commands in them, whole and cut at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "merge_case.h"
#include "protocol/own_command.h"

#define GET_7 "*10 $3 get :2 *1 +fast :1 :1 :1 *1 +@read *0 *0 *0 "
#define PING_7 "*10 $4 ping :-1 *0 :0 :0 :0 *0 *0 *0 *0 "
#define PING_6 "*7 $4 ping :-1 *0 :0 :0 :0 *0 "
#define PING_5 "*6 $4 ping :-1 *0 :0 :0 :0 "
#define NULLS_15 "$-1 $-1 $-1 $-1 $-1 $-1 $-1 $-1 $-1 $-1 $-1 $-1 $-1 $-1 $-1 "
#define TRY_10 "*10 $7 lim.try :-3 *2 +write +denyoom :0 :0 :0 *2 +@write +@slow *0 *0 *0 "
#define TRY_7 "*7 $7 lim.try :-3 *2 +write +denyoom :0 :0 :0 *2 +@write +@slow "
#define TRY_6 "*6 $7 lim.try :-3 *2 +write +denyoom :0 :0 :0 "
static const char KNOWS_NONE[] = "*17 " PING_7 "$-1 " NULLS_15;
static const char KNOWS_INCREX[] = "*17 " PING_7 "$-1 *10 $6 increx :-2 *0 :1 :1 :1 *0 *0 *0 *0 "
                                   "$-1 $-1 $-1 $-1 $-1 $-1 $-1 $-1 $-1 $-1 $-1 $-1 $-1 $-1 ";

/* Blanks are line ends, and ^ is a blank. */
static size_t wire(const char *text, uint8_t *bytes)
{
    size_t n = 0;

    for (; *text; text++) {
        if (*text == ' ') {
            bytes[n++] = '\r';
        }
        bytes[n++] = (uint8_t)(*text == ' ' ? '\n' : *text == '^' ? ' ' : *text);
    }
    return n;
}

static size_t request(const char *call, uint8_t *bytes, size_t cap)
{
    struct reply_writer w = {.bytes = bytes, .cap = cap};
    char words[512], *rest = words, *word;
    size_t argc = 1;

    for (const char *p = strcpy(words, call); *p; p++) {
        argc += *p == ' ';
    }
    reply_array(&w, argc);
    while ((word = strsep(&rest, " "))) {
        reply_bulk(&w, word, strlen(word));
    }
    return w.len;
}

static uint8_t call_bytes[4096];

/* False: the call may pass as it is. */
static bool start(struct command_merge *merge, const char *call, unsigned resp, const char *knowledge)
{
    size_t len = request(call, call_bytes, sizeof call_bytes);
    uint8_t answer[2048];
    struct request_args args;
    const uint8_t *name, *sub = NULL;
    size_t name_len, sub_len = 0;

    request_args_start(&args, call_bytes, len);
    request_args_next(&args, &name, &name_len);
    if (!request_args_next(&args, &sub, &sub_len)) {
        sub = NULL;
    }
    if (!command_merge_start(merge, command_find(name, name_len, sub, sub_len), call_bytes, len, resp)) {
        return false;
    }
    size_t answer_len = wire(knowledge, answer);
    uint8_t *exact = exact_copy(answer, answer_len);
    command_merge_learn(merge, exact, answer_len);
    free(exact);
    return true;
}

static void assert_output(const struct merge_output *output, const char *expected)
{
    uint8_t bytes[65536];
    size_t len = wire(expected, bytes);

    if (output->len != len || memcmp(output->bytes, bytes, len) != 0) {
        fail_msg("expected %s\ngot %.*s", expected, (int)output->len, (char *)output->bytes);
    }
}

/* What becomes of `reply`, which is cut at every byte, into single bytes, and not at all. */
static void assert_merged(const char *call, unsigned resp, const char *knowledge, const char *reply,
                          const char *expected)
{
    uint8_t bytes[8192];
    size_t len = wire(reply, bytes);

    for (size_t cut = 0; cut <= len; cut++) {
        struct merge_output output = {0};
        struct command_merge merge;

        assert_true(start(&merge, call, resp, knowledge));
        assert_false(command_merge_is_all_ours(&merge));
        merge.put = merge_collect;
        merge.to = &output;
        assert_int_equal(merge_feed(&merge, bytes, len, cut == len ? cuts_each(1) : cuts_at(cut, len)), RESP_DONE);
        assert_output(&output, expected);
        free(output.bytes);
    }
}

/* The answer when the server need not be asked. */
static void assert_alone(const char *call, unsigned resp, const char *knowledge, const char *expected)
{
    struct merge_output output = {0};
    struct command_merge merge;

    assert_true(start(&merge, call, resp, knowledge));
    assert_true(command_merge_is_all_ours(&merge));
    merge.put = merge_collect;
    merge.to = &output;
    command_merge_alone(&merge);
    assert_output(&output, expected);
    free(output.bytes);
}

/* The entries of all of `set`, as they follow each other. */
static const char *ours(uint32_t set, enum command_merge_topic topic, unsigned resp, unsigned elements)
{
    static char text[65536];
    static uint8_t bytes[65536];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof bytes};
    size_t n = 0;

    for (unsigned i = 0; i < OWN_COMMANDS; i++) {
        if (!(set >> i & 1)) {
            continue;
        }
        if (topic == MERGE_INFO) {
            own_entry_info(&w, i, resp, elements);
        } else if (topic == MERGE_DOCS) {
            own_entry_docs(&w, i, resp);
        } else {
            own_entry_name(&w, i);
        }
    }
    for (size_t i = 0; i < w.len; i++) {
        if (bytes[i] != '\r') {
            text[n++] = (char)(bytes[i] == '\n' ? ' ' : bytes[i] == ' ' ? '^' : bytes[i]);
        }
    }
    text[n] = '\0';
    return text;
}

static const char *both(const char *head, const char *entries)
{
    static char text[131072];

    snprintf(text, sizeof text, "%s%s", head, entries);
    return text;
}

static const uint32_t BUT_INCREX = OWN_ALL & ~2u;

static void test_all_commands(void **state)
{
    (void)state;
    assert_merged("COMMAND", 2, KNOWS_NONE, "*1 " GET_7, both("*17 " GET_7, ours(OWN_ALL, MERGE_INFO, 2, 10)));
    assert_merged("COMMAND INFO", 3, KNOWS_NONE, "*1 " GET_7, both("*17 " GET_7, ours(OWN_ALL, MERGE_INFO, 3, 10)));
    assert_merged("COMMAND", 3, KNOWS_INCREX, "*1 " GET_7, both("*16 " GET_7, ours(BUT_INCREX, MERGE_INFO, 3, 10)));
    assert_merged("command", 2, "*17 " PING_6 "*-1 " NULLS_15, "*1 *7 $3 get :2 *0 :1 :1 :1 *0 ",
                  both("*17 *7 $3 get :2 *0 :1 :1 :1 *0 ", ours(OWN_ALL, MERGE_INFO, 2, 7)));
    assert_merged("COMMAND", 2, "*17 " PING_5 "*-1 " NULLS_15, "*2 $1 x $1 y ",
                  both("*18 $1 x $1 y ", ours(OWN_ALL, MERGE_INFO, 2, 6)));
}

/* A server that has no COMMAND, or answers nothing to it, is no reason to say nothing of ours. */
static void test_a_server_without_an_answer(void **state)
{
    const char *all = both("*16 ", ours(OWN_ALL, MERGE_INFO, 2, 10));
    (void)state;

    assert_merged("COMMAND", 2, "*0 ", "*0 ", all);
    assert_merged("COMMAND", 2, "-ERR^no ", "-ERR^unknown^command^'COMMAND',^with^args^beginning^with:^ ", all);
    assert_merged("COMMAND INFO", 2, "-ERR^no ", "-ERR^Command^is^not^available:^'COMMAND'. ", all);
    assert_merged("COMMAND INFO get lim.try", 3, "*0 ", "*0 ",
                  "*2 _ *10 $7 lim.try :-3 ~2 +write +denyoom :0 :0 :0 ~2 +@write +@slow ~0 ~0 ~0 ");
    assert_merged("COMMAND INFO get lim.try", 2, "*0 ", "*0 ", "*2 $-1 " TRY_10);
    assert_merged("COMMAND LIST", 2, "*0 ", "*0 ", both("*16 ", ours(OWN_ALL, MERGE_LIST, 2, 10)));
    assert_merged("COMMAND DOCS", 3, "*0 ", "*0 ", both("%16 ", ours(OWN_ALL, MERGE_DOCS, 3, 10)));
    assert_merged("COMMAND DOCS", 2, "*0 ", "*0 ", both("*32 ", ours(OWN_ALL, MERGE_DOCS, 2, 10)));
}

static void test_errors_pass(void **state)
{
    static const char *const errors[] = {"-NOPERM^this^user^has^no^permissions ", "-LOADING^Redis^is^loading ",
                                         "-ERR^syntax^error ", "-ERR "};
    static const char *const calls[] = {"COMMAND", "COMMAND COUNT", "COMMAND INFO get lim.try",
                                        "COMMAND DOCS get lim.try", "COMMAND LIST"};
    (void)state;

    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        for (size_t k = 0; k < sizeof calls / sizeof calls[0]; k++) {
            assert_merged(calls[k], 2, KNOWS_NONE, errors[i], errors[i]);
        }
    }
    /* What redis-cli takes for a reason to ask with COMMAND instead. */
    assert_merged("COMMAND DOCS", 2, KNOWS_NONE, "-ERR^unknown^command^'COMMAND' ", "-ERR^unknown^command^'COMMAND' ");
}

static void test_odd_replies_pass(void **state)
{
    static const char *const replies[] = {"$-1 ", "$3 abc ", "+OK ", "*-1 "};
    (void)state;

    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        assert_merged("COMMAND", 2, KNOWS_NONE, replies[i], replies[i]);
        assert_merged("COMMAND COUNT", 2, KNOWS_NONE, replies[i], replies[i]);
        assert_merged("COMMAND INFO get lim.try", 2, KNOWS_NONE, replies[i], replies[i]);
    }
    assert_merged("COMMAND", 2, KNOWS_NONE, ":5 ", ":5 ");
    assert_merged("COMMAND LIST", 3, KNOWS_NONE, "%1 $3 get %0 ", "%1 $3 get %0 ");
    assert_merged("COMMAND COUNT", 2, KNOWS_NONE, "*0 ", "*0 ");
    assert_merged("COMMAND COUNT", 2, KNOWS_NONE, ":-1 ", ":-1 ");
}

static void test_count(void **state)
{
    (void)state;
    assert_merged("COMMAND COUNT", 2, KNOWS_NONE, ":240 ", ":256 ");
    assert_merged("command count", 3, KNOWS_INCREX, ":240 ", ":255 ");
    assert_merged("COMMAND COUNT", 2, KNOWS_NONE, ":0 ", ":16 ");
}

static void test_list(void **state)
{
    (void)state;
    assert_merged("COMMAND LIST", 3, KNOWS_INCREX, "*1 $3 get ",
                  both("*16 $3 get ", ours(BUT_INCREX, MERGE_LIST, 3, 10)));
    assert_merged("COMMAND LIST", 3, KNOWS_NONE, "~1 $3 get ", both("~17 $3 get ", ours(OWN_ALL, MERGE_LIST, 3, 10)));
    assert_merged("COMMAND LIST FILTERBY PATTERN *.TRY", 2, KNOWS_NONE, "*0 ", "*1 $7 lim.try ");
    assert_merged("COMMAND LIST filterby aclcat read", 2, KNOWS_NONE, "*1 $3 get ",
                  "*4 $3 get $9 sem.check $9 sem.count $11 sem.holders ");
}

static void test_docs(void **state)
{
    uint32_t reset = 1u << own_command_find((const uint8_t *)"lim.reset", 9);
    static char twice[131072];
    (void)state;

    assert_merged("COMMAND DOCS", 2, KNOWS_NONE, "*2 $3 get *0 ",
                  both("*34 $3 get *0 ", ours(OWN_ALL, MERGE_DOCS, 2, 10)));
    assert_merged("COMMAND DOCS", 3, KNOWS_INCREX, "%1 $3 get %0 ",
                  both("%16 $3 get %0 ", ours(BUT_INCREX, MERGE_DOCS, 3, 10)));
    assert_merged("COMMAND DOCS get LIM.RESET nosuch", 3, KNOWS_NONE, "%1 $3 get %0 ",
                  both("%2 $3 get %0 ", ours(reset, MERGE_DOCS, 3, 10)));
    strcpy(twice, ours(reset, MERGE_DOCS, 2, 10));
    strcat(twice, ours(reset, MERGE_DOCS, 2, 10));
    assert_merged("COMMAND DOCS lim.reset get lim.reset", 2, KNOWS_NONE, "*2 $3 get *0 ", both("*6 $3 get *0 ", twice));
    assert_alone("COMMAND DOCS lim.reset lim.reset", 2, KNOWS_NONE, both("*4 ", twice));
    assert_alone("COMMAND DOCS lim.reset", 3, KNOWS_NONE, both("%1 ", ours(reset, MERGE_DOCS, 3, 10)));
}

static void test_info_of_names(void **state)
{
    (void)state;
    assert_merged("COMMAND INFO get lim.try nosuch", 2, KNOWS_NONE, "*3 " GET_7 "$-1 $-1 ", "*3 " GET_7 TRY_10 "$-1 ");
    assert_merged("COMMAND INFO Lim.Try get LIM.TRY", 2, KNOWS_NONE, "*3 $-1 " GET_7 "$-1 ", "*3 " TRY_10 GET_7 TRY_10);
    assert_merged("COMMAND INFO get lim.try", 2, "*17 " PING_6 "*-1 " NULLS_15, "*2 *7 $3 get :2 *0 :1 :1 :1 *0 *-1 ",
                  "*2 *7 $3 get :2 *0 :1 :1 :1 *0 " TRY_7);
    assert_merged("COMMAND INFO get lim.try", 2, "*17 " PING_5 "*-1 " NULLS_15, "*2 *6 $3 get :2 *0 :1 :1 :1 *-1 ",
                  "*2 *6 $3 get :2 *0 :1 :1 :1 " TRY_6);
    assert_merged("COMMAND INFO get lim.try", 3, KNOWS_NONE, "*2 _ _ ",
                  "*2 _ *10 $7 lim.try :-3 ~2 +write +denyoom :0 :0 :0 ~2 +@write +@slow ~0 ~0 ~0 ");
    /* What it turns out to have after all stays. */
    assert_merged("COMMAND INFO get lim.try", 2, KNOWS_NONE, "*2 *0 " GET_7, "*2 *0 " GET_7);
    assert_merged("COMMAND INFO increx lim.try", 2, KNOWS_INCREX, "*2 " GET_7 "$-1 ", "*2 " GET_7 TRY_10);
    assert_merged("COMMAND INFO get lim.try", 2, KNOWS_NONE, "*3 *0 $-1 $-1 ", "*3 *0 $-1 $-1 ");
    assert_alone("COMMAND INFO lim.try LIM.TRY", 2, KNOWS_NONE, "*2 " TRY_10 TRY_10);
    assert_alone("COMMAND INFO lim.try", 2, "*17 " PING_6 "*-1 " NULLS_15, "*1 " TRY_7);
}

/* A line of more than 4 KiB reaches us in parts. */
static void test_a_long_line_in_an_element(void **state)
{
    char line[6000], reply[6100], expected[6400];
    (void)state;

    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    snprintf(reply, sizeof reply, "*2 +%s $-1 ", line);
    snprintf(expected, sizeof expected, "*2 +%s " TRY_10, line);
    assert_merged("COMMAND INFO get lim.try", 2, KNOWS_NONE, reply, expected);
}

static void test_calls_that_pass(void **state)
{
    static const char *const calls[] = {"COMMAND NOSUCH",
                                        "COMMAND COUNT x",
                                        "COMMAND INFO get set",
                                        "COMMAND DOCS get lim.tr",
                                        "COMMAND HELP",
                                        "COMMAND LIST FILTERBY MODULE respgate",
                                        "COMMAND LIST FILTERBY PATTERN get*",
                                        "COMMAND LIST FILTERBY ACLCAT scripting",
                                        "COMMAND LIST FILTERBY PATTERN",
                                        "COMMAND LIST FILTERBY PATTERN * x",
                                        "COMMAND LIST x PATTERN *",
                                        "GET lim.try"};
    struct command_merge merge;
    (void)state;

    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (start(&merge, calls[i], 2, KNOWS_NONE)) {
            fail_msg("%s does not pass", calls[i]);
        }
    }
}

/* Nothing is left to add once the server has said what it has. */
static void test_nothing_is_left_to_add(void **state)
{
    struct command_merge merge;
    (void)state;

    assert_true(start(&merge, "COMMAND INFO increx", 2, KNOWS_INCREX));
    assert_int_equal(merge.mine, 0);
    assert_false(command_merge_is_all_ours(&merge));
    assert_true(start(&merge, "COMMAND INFO", 2, "*17 " PING_6 "*-1 " NULLS_15)); /* Redis 6: no names, no entries */
    assert_int_equal(merge.mine, 0);
    assert_true(start(&merge, "COMMAND", 2, "*17 " PING_6 "*-1 " NULLS_15));
    assert_int_equal(merge.mine, OWN_ALL);
}

static void test_an_answer_that_says_nothing(void **state)
{
    static const char *const answers[] = {"-ERR^no ",
                                          "*0 ",
                                          "*-1 ",
                                          "*16 " PING_7 NULLS_15,
                                          "*17 " PING_7 NULLS_15,
                                          "*18 " PING_6 "$-1 $-1 " NULLS_15,
                                          "$3 abc ",
                                          "_ ",
                                          ("*17 $-1 $-1 " NULLS_15)};
    struct command_merge merge;
    (void)state;

    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        assert_true(start(&merge, "COMMAND", 2, answers[i]));
        assert_int_equal(merge.mine, OWN_ALL);
        assert_int_equal(merge.elements, 10);
    }
}

static void test_what_is_asked(void **state)
{
    uint8_t bytes[COMMAND_MERGE_ASK_MAX];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof bytes};
    struct request_scan scan = {0};
    struct request_limits limits = {.max_args = 100, .max_bulk = 100, .authenticated = true};
    (void)state;

    command_merge_ask(&w);
    assert_false(w.full);
    assert_int_equal(request_scan(&scan, bytes, w.len, &limits), RESP_DONE);
    assert_int_equal(scan.pos, w.len);
    assert_int_equal(scan.argc, 3 + OWN_COMMANDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_commands),
        cmocka_unit_test(test_a_server_without_an_answer),
        cmocka_unit_test(test_errors_pass),
        cmocka_unit_test(test_odd_replies_pass),
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_docs),
        cmocka_unit_test(test_info_of_names),
        cmocka_unit_test(test_a_long_line_in_an_element),
        cmocka_unit_test(test_calls_that_pass),
        cmocka_unit_test(test_nothing_is_left_to_add),
        cmocka_unit_test(test_an_answer_that_says_nothing),
        cmocka_unit_test(test_what_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
