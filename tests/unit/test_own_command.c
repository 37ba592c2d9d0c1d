/* What is told of our own commands: the same as the command table says, in replies that a client's parser takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "command_rows.h"
#include "protocol/own_command.h"
#include "scan_feed.h"

static uint8_t bytes[OWN_ENTRY_MAX];

static int find(const char *name)
{
    return own_command_find((const uint8_t *)name, strlen(name));
}

static const struct command *row_of(unsigned i)
{
    const char *name = own_command_at(i)->name;
    return command_find((const uint8_t *)name, strlen(name), NULL, 0);
}

/* --- against the command table --- */

static enum own_keys keys_word(const char *word)
{
    static const char *const words[] = {"-", "1/1/1", "1/-1/1", "idx1:keynum(0,1,1)"};

    for (unsigned i = 0; i < 4; i++) {
        if (strcmp(words[i], word) == 0) {
            return (enum own_keys)i;
        }
    }
    fail_msg("keys %s", word);
    return OWN_NO_KEY;
}

static void check_row(char **column, size_t *found)
{
    if (strcmp(column[COLUMN_CLASS], "LIMIT") != 0) {
        assert_int_equal(find(column[COLUMN_NAME]), OWN_NONE);
        return;
    }
    int own = find(column[COLUMN_NAME]);
    assert_int_not_equal(own, OWN_NONE);
    assert_int_equal(own_command_at((unsigned)own)->keys, keys_word(column[COLUMN_KEYS]));
    ++*found;
}

static void test_every_row_of_class_limit(void **state)
{
    size_t found = 0;
    (void)state;

    each_command_row(check_row, &found);
    assert_int_equal(found, OWN_COMMANDS);
}

static void test_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < OWN_COMMANDS; i++) {
        assert_int_equal(find(own_command_at(i)->name), i);
        assert_int_equal(row_of(i)->cls, COMMAND_LIMIT);
        assert_int_equal(own_command_at(i)->access == OWN_READS, (row_of(i)->flags & COMMAND_READ) != 0);
        assert_int_equal(own_command_at(i)->access != OWN_READS, (row_of(i)->flags & COMMAND_WRITE) != 0);
    }
    assert_int_equal(find("LIM.TRY"), find("lim.try"));
    assert_int_equal(find("lim.tr"), OWN_NONE);
    assert_int_equal(find("lim.trys"), OWN_NONE);
    assert_int_equal(find(""), OWN_NONE);
    assert_int_equal(find("lim.gcra|help"), OWN_NONE);
}

static void test_filters(void **state)
{
    uint32_t reads = 1u << find("sem.check") | 1u << find("sem.count") | 1u << find("sem.holders");
    (void)state;

    assert_int_equal(own_commands_in((const uint8_t *)"read", 4), reads);
    assert_int_equal(own_commands_in((const uint8_t *)"WRITE", 5), OWN_ALL & ~reads);
    assert_int_equal(own_commands_in((const uint8_t *)"Slow", 4), OWN_ALL);
    assert_int_equal(own_commands_in((const uint8_t *)"fast", 4), 0);
    assert_int_equal(own_commands_in((const uint8_t *)"@read", 5), 0);
    assert_int_equal(own_commands_in((const uint8_t *)"", 0), 0);
    assert_int_equal(own_commands_like((const uint8_t *)"SEM.C*", 6),
                     1u << find("sem.check") | 1u << find("sem.count"));
    assert_int_equal(own_commands_like((const uint8_t *)"*", 1), OWN_ALL);
    assert_int_equal(own_commands_like((const uint8_t *)"get", 3), 0);
}

/* --- as replies --- */

/* So many whole replies, and nothing else. */
static void assert_replies(const struct reply_writer *w, unsigned count)
{
    size_t at = 0;

    assert_false(w->full);
    for (; count > 0; count--) {
        struct reply_scan scan = {0};
        assert_int_equal(reply_scan(&scan, w->bytes + at, w->len - at, &reply_limits_default), RESP_DONE);
        at += (size_t)scan.pos;
    }
    assert_int_equal(at, w->len);
}

static void test_every_entry_is_a_reply(void **state)
{
    static const unsigned shapes[] = {6, 7, 10};
    (void)state;

    for (unsigned i = 0; i < OWN_COMMANDS; i++) {
        for (unsigned resp = 2; resp <= 3; resp++) {
            for (unsigned k = 0; k < 3; k++) {
                struct reply_writer w = {.bytes = bytes, .cap = sizeof bytes};
                own_entry_info(&w, i, resp, shapes[k]);
                assert_replies(&w, 1);
                assert_int_equal(strtol((char *)bytes + 1, NULL, 10), shapes[k]);
            }
            struct reply_writer w = {.bytes = bytes, .cap = sizeof bytes};
            own_entry_docs(&w, i, resp);
            assert_replies(&w, 2);
            assert_true(w.len < sizeof bytes * 3 / 4); /* room to grow */
        }
    }
}

static void assert_written(const struct reply_writer *w, const char *expected)
{
    char shown[4096];
    size_t n = 0;

    for (size_t i = 0; i < w->len && n + 1 < sizeof shown; i++) { /* line ends as blanks */
        if (w->bytes[i] != '\r') {
            shown[n++] = w->bytes[i] == '\n' ? ' ' : (char)w->bytes[i];
        }
    }
    shown[n] = '\0';
    assert_string_equal(shown, expected);
}

static void assert_info(const char *name, unsigned resp, unsigned elements, const char *expected)
{
    struct reply_writer w = {.bytes = bytes, .cap = sizeof bytes};
    own_entry_info(&w, (unsigned)find(name), resp, elements);
    assert_written(&w, expected);
}

/* Next to these stood what a Redis 7.0 printed for INCR, ZUNION and PING. */
static void test_entries(void **state)
{
    (void)state;
    assert_info("lim.gcra", 2, 6, "*6 $8 lim.gcra :-5 *2 +write +denyoom :1 :1 :1 ");
    assert_info("sem.count", 2, 7, "*7 $9 sem.count :2 *1 +readonly :1 :1 :1 *2 +@read +@slow ");
    assert_info("sem.count", 3, 7, "*7 $9 sem.count :2 ~1 +readonly :1 :1 :1 ~2 +@read +@slow ");
    assert_info("increx", 3, 10,
                "*10 $6 increx :-2 ~2 +write +denyoom :1 :1 :1 ~2 +@write +@slow ~0 "
                "~1 %3 $5 flags ~3 +RW +access +update $12 begin_search %2 $4 type $5 index $4 spec %1 $5 index :1 "
                "$9 find_keys %2 $4 type $5 range $4 spec %3 $7 lastkey :0 $7 keystep :1 $5 limit :0 ~0 ");
    assert_info("lim.multi", 2, 10,
                "*10 $9 lim.multi :-6 *3 +write +denyoom +movablekeys :0 :0 :0 *2 +@write +@slow *0 "
                "*1 *6 $5 flags *3 +RW +access +update $12 begin_search *4 $4 type $5 index $4 spec *2 $5 index :1 "
                "$9 find_keys *4 $4 type $6 keynum $4 spec *6 $9 keynumidx :0 $8 firstkey :1 $7 keystep :1 *0 ");
    assert_info("lim.reset", 2, 10,
                "*10 $9 lim.reset :-2 *1 +write :1 :-1 :1 *2 +@write +@slow *0 "
                "*1 *6 $5 flags *2 +RM +delete $12 begin_search *4 $4 type $5 index $4 spec *2 $5 index :1 "
                "$9 find_keys *4 $4 type $5 range $4 spec *6 $7 lastkey :-1 $7 keystep :1 $5 limit :0 *0 ");
    assert_info("lim.try", 3, 10, "*10 $7 lim.try :-3 ~2 +write +denyoom :0 :0 :0 ~2 +@write +@slow ~0 ~0 ~0 ");
}

static void test_docs(void **state)
{
    struct reply_writer w = {.bytes = bytes, .cap = sizeof bytes};
    (void)state;

    own_entry_docs(&w, (unsigned)find("sem.revoke"), 3);
    assert_written(&w, "$10 sem.revoke %5 $7 summary $36 Takes leases away from their holders $5 since $5 0.1.0 "
                       "$5 group $6 module $10 complexity $37 O(N) where N is the number of holders $9 arguments *2 "
                       "%4 $4 name $3 key $4 type $3 key $12 display_text $3 key $14 key_spec_index :0 "
                       "%3 $4 name $6 holder $4 type $5 oneof $9 arguments *2 "
                       "%3 $4 name $5 token $4 type $6 string $12 display_text $5 token "
                       "%4 $4 name $3 all $4 type $10 pure-token $12 display_text $3 all $5 token $1 * ");
    w = (struct reply_writer){.bytes = bytes, .cap = sizeof bytes};
    own_entry_docs(&w, (unsigned)find("lim.reset"), 2);
    assert_written(&w, "$9 lim.reset *10 $7 summary $42 Forgets the state of limits and semaphores $5 since $5 0.1.0 "
                       "$5 group $6 module $10 complexity $34 O(N) where N is the number of keys $9 arguments *1 "
                       "*10 $4 name $3 key $4 type $3 key $12 display_text $3 key $14 key_spec_index :0 "
                       "$5 flags *1 +multiple ");
}

/* --- GETKEYS --- */

/* The answer, or the error, to a call given as words between single blanks. */
static void assert_keys(const char *call, unsigned resp, bool with_flags, const char *expected)
{
    struct reply_writer request = {.bytes = malloc(4096), .cap = 4096}, w = {.bytes = bytes, .cap = sizeof bytes};
    char words[512], *rest = words, *word, *name = NULL;
    struct request_args args;
    const uint8_t *first;
    size_t len, argc = 1;

    for (const char *p = strcpy(words, call); *p; p++) {
        argc += *p == ' ';
    }
    reply_array(&request, argc);
    while ((word = strsep(&rest, " "))) {
        name = name ? name : word;
        reply_bulk(&request, word, strlen(word));
    }
    uint8_t *exact = exact_copy(request.bytes, request.len);
    request_args_start(&args, exact, request.len);
    request_args_next(&args, &first, &len);
    w.cap = request.len + OWN_KEY_ROOM * argc; /* what is promised to be enough */
    const char *error = own_entry_keys(&w, (unsigned)find(name), resp, with_flags, args);
    if (error) {
        assert_int_equal(w.len, 0);
        assert_string_equal(error, expected);
    } else {
        assert_replies(&w, 1);
        assert_written(&w, expected);
    }
    free(exact);
    free(request.bytes);
}

static void test_keys(void **state)
{
    static const char arity[] = "ERR Invalid number of arguments specified for command";
    static const char invalid[] = "ERR Invalid arguments specified for command";
    (void)state;

    assert_keys("lim.gcra k 5 1 1000", 2, false, "*1 $1 k ");
    assert_keys("LIM.GCRA k 5 1 1000 COST 2", 2, false, "*1 $1 k ");
    assert_keys("lim.gcra k 5 1", 2, false, arity);
    assert_keys("lim.gcra", 2, false, arity);
    assert_keys("sem.count k x", 2, false, arity);
    assert_keys("lim.reset a b c", 2, false, "*3 $1 a $1 b $1 c ");
    assert_keys("lim.multi 2 a b GCRA 5 1", 3, false, "*2 $1 a $1 b ");
    assert_keys("lim.multi 5 a b c d e", 3, false, "*5 $1 a $1 b $1 c $1 d $1 e ");
    assert_keys("lim.multi 6 a b c d e", 3, false, invalid);
    assert_keys("lim.multi 0 a b c d e", 3, false, invalid);
    assert_keys("lim.multi 01 a b c d e", 3, false, invalid);
    assert_keys("lim.multi -1 a b c d e", 3, false, invalid);
    assert_keys("lim.multi  a b c d e", 3, false, invalid);
    assert_keys("lim.multi 1x a b c d e", 3, false, invalid);
    assert_keys("lim.multi 4294967297 a b c d e", 3, false, invalid);
    assert_keys("lim.multi 1 a", 3, false, arity);
    assert_keys("lim.try rule x", 2, false, "ERR The command has no key arguments");
    assert_keys("lim.try", 2, true, "ERR The command has no key arguments");
    assert_keys("sem.count k", 2, true, "*1 *2 $1 k *2 +RO +access ");
    assert_keys("sem.release k t", 3, true, "*1 *2 $1 k ~2 +RW +delete ");
    assert_keys("lim.multi 2 a b SEM 5 1000 t", 3, true,
                "*2 *2 $1 a ~3 +RW +access +update *2 $1 b ~3 +RW +access +update ");
    assert_keys("lim.reset  a", 2, true, "*2 *2 $0  *2 +RM +delete *2 $1 a *2 +RM +delete ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_of_class_limit),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_every_entry_is_a_reply),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_docs),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
