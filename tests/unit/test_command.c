/* The command table: every row of commands.tsv is found in any case with what the row says, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "command_rows.h"
#include "protocol/command.h"

struct word {
    const char *text;
    unsigned value;
};

static const struct word classes[] = {{"SHARED", COMMAND_SHARED},
                                      {"PIN", COMMAND_PIN},
                                      {"LOCAL", COMMAND_LOCAL},
                                      {"REWRITE", COMMAND_REWRITE},
                                      {"REFUSE", COMMAND_REFUSE},
                                      {"LIMIT", COMMAND_LIMIT},
                                      {NULL, 0}};
static const struct word lanes[] = {{"none", COMMAND_ON_NONE}, {"shared", COMMAND_ON_SHARED},
                                    {"pin", COMMAND_ON_PIN},   {"control", COMMAND_ON_CONTROL},
                                    {"lane", COMMAND_ON_OWN},  {NULL, 0}};
static const struct word flags[] = {{"read", COMMAND_READ},
                                    {"write", COMMAND_WRITE},
                                    {"admin", COMMAND_ADMIN},
                                    {"dangerous", COMMAND_DANGEROUS},
                                    {"blocking", COMMAND_BLOCKING},
                                    {"pubsub", COMMAND_PUBSUB},
                                    {"no_auth", COMMAND_NO_AUTH},
                                    {"no_multi", COMMAND_NO_MULTI},
                                    {"noscript", COMMAND_NOSCRIPT},
                                    {"denyoom", COMMAND_DENYOOM},
                                    {"allow_busy", COMMAND_ALLOW_BUSY},
                                    {"movablekeys", COMMAND_MOVABLE_KEYS},
                                    {"module", COMMAND_MODULE},
                                    {"protected", COMMAND_PROTECTED},
                                    {"may_replicate", COMMAND_MAY_REPLICATE},
                                    {"only_sentinel", COMMAND_ONLY_SENTINEL},
                                    {NULL, 0}};

static unsigned value_of(const struct word *words, const char *text)
{
    for (; words->text; words++) {
        if (strcmp(words->text, text) == 0) {
            return words->value;
        }
    }
    fail_msg("unknown word %s", text);
    return 0;
}

static const struct command *find(const char *name, const char *sub)
{
    return command_find((const uint8_t *)name, strlen(name), (const uint8_t *)sub, sub ? strlen(sub) : 0);
}

static unsigned flags_of(char *list)
{
    unsigned all = 0;
    char *rest = NULL;

    for (char *flag = strtok_r(list, "|", &rest); flag && strcmp(flag, "-") != 0; flag = strtok_r(NULL, "|", &rest)) {
        all |= value_of(flags, flag);
    }
    return all;
}

/* "GET" as "get" (variant 1), "gEt" (2) and "GeT" (3). */
static void vary(char *text, unsigned variant)
{
    for (size_t i = 0; text[i]; i++) {
        bool lower = variant == 1 || (variant > 1 && (i + variant) % 2);
        text[i] = (char)(lower ? tolower(text[i]) : toupper(text[i]));
    }
}

static void check_row(char **column, size_t *rows)
{
    bool has_sub = strcmp(column[COLUMN_SUB], "-") != 0;
    unsigned want_flags = flags_of(column[COLUMN_FLAGS]);

    if (!strcmp(column[COLUMN_NAME], "<EMPTY>") || !strcmp(column[COLUMN_NAME], "<PROTOCOL-ERROR>"))
        return;
    ++*rows;
    for (unsigned variant = 0; variant < 4; variant++) {
        vary(column[COLUMN_NAME], variant);
        vary(column[COLUMN_SUB], variant);
        const struct command *command = find(column[COLUMN_NAME], has_sub ? column[COLUMN_SUB] : NULL);

        assert_int_equal(strcasecmp(command->name, column[COLUMN_NAME]), 0);
        assert_int_equal(command->subcommand != NULL, has_sub);
        if (has_sub) {
            assert_int_equal(strcasecmp(command->subcommand, column[COLUMN_SUB]), 0);
        }
        assert_int_equal(command->name_len, strlen(command->name));
        assert_int_equal(command->subcommand_len, has_sub ? strlen(command->subcommand) : 0);
        assert_int_equal(command->cls, value_of(classes, column[COLUMN_CLASS]));
        assert_int_equal(command->lane, value_of(lanes, column[COLUMN_LANE]));
        assert_int_equal(command->flags, want_flags);
        assert_int_equal(command->arity, atoi(column[COLUMN_ARITY]));
    }
}

static void test_every_row(void **state)
{
    size_t rows = 0;
    (void)state;

    each_command_row(check_row, &rows);
    assert_int_equal(rows, command_count());
    assert_true(rows > 700);
}

static void test_index(void **state)
{
    (void)state;

    for (size_t i = 0; i < command_count(); i++) {
        const struct command *command = command_at(i);

        assert_int_equal(command->index, i);
        assert_ptr_equal(find(command->name, command->subcommand), command);
    }
}

/* A name with one byte changed is another command or none. Catches a folding that maps two bytes to one. */
static void test_changed_names(void **state)
{
    static const uint8_t change[] = {0x01, 0x20, 0x40, 0x60, 0x80, 0xa0};
    char name[64];
    (void)state;

    for (size_t i = 0; i < command_count(); i++) {
        const struct command *command = command_at(i);
        const char *container = command->subcommand_len > 1 ? command->name : NULL;
        const char *text = container ? command->subcommand : command->name;
        size_t len = strlen(text);

        for (size_t at = 0; at < len * sizeof change; at++) {
            memcpy(name, text, len + 1);
            name[at / sizeof change] = (char)(name[at / sizeof change] ^ change[at % sizeof change]);
            const struct command *found =
                container ? command_find((const uint8_t *)container, strlen(container), (const uint8_t *)name, len)
                          : command_find((const uint8_t *)name, len, NULL, 0);
            const char *known = container ? found->subcommand : found->name;
            bool fallback = container ? strcmp(known, "*") == 0 : found->id == CMD_UNKNOWN;

            assert_true(fallback || (strlen(known) == len && strncasecmp(known, name, len) == 0));
        }
    }
}

/* Many names that begin and are as long as a known one, so that some fall into its slot. */
static void test_same_beginnings(void **state)
{
    uint32_t random = 1;
    char name[64];
    (void)state;

    for (size_t i = 0; i < command_count(); i++) {
        const struct command *command = command_at(i);
        size_t len = command->name_len;

        for (size_t n = 0; len > 8 && n < 20000; n++) {
            memcpy(name, command->name, len + 1);
            for (size_t at = 8; at < len; at++) {
                random = random * 1664525 + 1013904223;
                name[at] = (char)('A' + (random >> 16) % 26);
            }
            const struct command *found = find(name, NULL);
            assert_true(found->id == CMD_UNKNOWN || strcmp(found->name, name) == 0);
        }
    }
}

/* Each subcommand's name under each container: a row of that container or its fallback. */
static void test_subcommands_of_others(void **state)
{
    (void)state;

    for (size_t i = 0; i < command_count(); i++) {
        for (size_t k = 0; k < command_count(); k++) {
            const char *container = command_at(i)->name, *sub = command_at(k)->subcommand;

            if (command_at(i)->subcommand && sub) {
                const struct command *found = find(container, sub);
                assert_string_equal(found->name, container);
                assert_true(strcmp(found->subcommand, "*") == 0 || strcmp(found->subcommand, sub) == 0);
            }
        }
    }
}

static void test_not_found(void **state)
{
    static const char *const names[] = {"",
                                        "G",
                                        "GE",
                                        "GETX",
                                        "GET ",
                                        "GETT",
                                        "CLIEN",
                                        "CLIENTS",
                                        "<UNKNOWN>",
                                        "<EMPTY>",
                                        "<PROTOCOL-ERROR>",
                                        "*",
                                        "-",
                                        "HOST",
                                        "CLIENT|KILL",
                                        "TS.REA",
                                        "a name that is longer than any name of a command"};
    const struct command *unknown = find("no such command", NULL);
    (void)state;

    assert_int_equal(unknown->id, CMD_UNKNOWN);
    assert_int_equal(unknown->cls, COMMAND_PIN);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_ptr_equal(find(names[i], NULL), unknown);
        assert_ptr_equal(find(names[i], "KILL"), unknown);
    }
    assert_ptr_equal(command_find((const uint8_t *)"GET\0", 4, NULL, 0), unknown);
    assert_ptr_equal(command_find((const uint8_t *)"\0GET", 4, NULL, 0), unknown);
}

static void test_containers(void **state)
{
    const struct command *any = find("CLIENT", NULL);
    (void)state;

    assert_int_equal(any->id, CMD_CLIENT_ANY);
    assert_string_equal(any->subcommand, "*");
    assert_ptr_equal(find("client", "no-such"), any);
    assert_ptr_equal(find("client", ""), any);
    assert_ptr_equal(find("client", "*"), any);
    assert_ptr_equal(find("client", "get"), any);
    assert_ptr_equal(find("client", "a subcommand that is longer than any there is"), any);
    assert_int_equal(find("client", "no-touch")->id, CMD_CLIENT_NO_TOUCH);
    assert_ptr_not_equal(find("script", "flush"), find("function", "flush"));
    assert_ptr_equal(find("get", "kill"), find("GET", NULL));
}

static void test_ids(void **state)
{
    static const struct {
        const char *name, *sub;
        enum command_id id;
    } cases[] = {
        {"AUTH", NULL, CMD_AUTH},
        {"host:", NULL, CMD_HOST},
        {"POST", NULL, CMD_POST},
        {"TS.READ", NULL, CMD_TS_READ},
        {"EVALSHA_RO", NULL, CMD_EVALSHA_RO},
        {"SCRIPT", "LOAD", CMD_SCRIPT_LOAD},
        {"SCRIPT", "EXISTS", CMD_SCRIPT_EXISTS},
        {"SCRIPT", "KILL", CMD_OTHER},
        {"CLIENT", "IMPORT-SOURCE", CMD_CLIENT_IMPORT_SOURCE},
        {"CLIENT", "MAINT_NOTIFICATIONS", CMD_CLIENT_MAINT_NOTIFICATIONS},
        {"HIMPORT", NULL, CMD_HIMPORT_ANY},
        {"HIMPORT", "DISCARDALL", CMD_HIMPORT_ANY},
        {"ACL", "DELUSER", CMD_ACL_DELUSER},
        {"ACL", "WHOAMI", CMD_OTHER},
        {"GET", NULL, CMD_GET},
        {"GETEX", NULL, CMD_OTHER},
    };
    bool seen[CMD_UNKNOWN + 1] = {false};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(find(cases[i].name, cases[i].sub)->id, cases[i].id);
    }
    for (size_t i = 0; i < command_count(); i++) {
        assert_true(command_at(i)->id <= CMD_UNKNOWN);
        seen[command_at(i)->id] = true;
    }
    for (unsigned id = CMD_OTHER; id <= CMD_UNKNOWN; id++) {
        assert_true(seen[id]);
    }
}

static void test_arity(void **state)
{
    (void)state;

    assert_true(command_arity_ok(find("GET", NULL), 2));
    assert_false(command_arity_ok(find("GET", NULL), 1));
    assert_false(command_arity_ok(find("GET", NULL), 3));
    assert_false(command_arity_ok(find("SET", NULL), 2));
    assert_true(command_arity_ok(find("SET", NULL), 3));
    assert_true(command_arity_ok(find("SET", NULL), UINT32_MAX));
    assert_true(command_arity_ok(find("CLIENT", "SETNAME"), 3));
    assert_false(command_arity_ok(find("CLIENT", "SETNAME"), 2));
    assert_true(command_arity_ok(find("no such command", NULL), 1));
    assert_true(command_arity_ok(find("no such command", NULL), 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_changed_names),
        cmocka_unit_test(test_same_beginnings),
        cmocka_unit_test(test_subcommands_of_others),
        cmocka_unit_test(test_not_found),
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_arity),
    };
    return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
