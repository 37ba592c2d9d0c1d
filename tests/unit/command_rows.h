/* The rows of protocol/commands.tsv, for tests that compare them with what was made of them. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COLUMN_NAME,
    COLUMN_SUB,
    COLUMN_CLASS,
    COLUMN_KEYS,
    COLUMN_FLAGS,
    COLUMN_LANE = 7,
    COLUMN_ARITY = 9,
    COLUMNS = 11
};

/* Each row's columns, which the callee may change. */
static void each_command_row(void (*check)(char **column, size_t *found), size_t *found)
{
    const char *path = getenv("COMMANDS_TSV");
    char line[2048];

    assert_non_null(path);
    FILE *tsv = fopen(path, "r");
    assert_non_null(tsv);
    assert_non_null(fgets(line, sizeof line, tsv));
    while (fgets(line, sizeof line, tsv)) {
        char *column[COLUMNS], *rest = line;

        for (size_t i = 0; i < COLUMNS; i++) {
            column[i] = strsep(&rest, "\t\n");
            assert_non_null(column[i]);
        }
        check(column, found);
    }
    fclose(tsv);
}
