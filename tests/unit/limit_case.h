/*
 * A limiter command as words, and what became of it as one line: "script | KEYS | ARGV" with blanks between, a
 * companion as its letter and key ("m:k"), or "-" and the error text. Used by the unit tests of limiter/.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limiter/limit_call.h"
#include "protocol/command.h"
#include "protocol/resp.h"

enum { CASE_WORDS_MAX = LIMIT_ARGS_MAX + 8 };

static struct limit_call call;
static struct limit_settings settings = {.ticket_ms = 3000};
static struct limit_slice words[CASE_WORDS_MAX];
static char case_text[65536];
static char case_line[262144];

/* Splits at single blanks, so that two of them make an empty argument. */
static inline uint32_t split(const char *command)
{
    uint32_t argc = 0;
    char *rest = strcpy(case_text, command), *word;

    while ((word = strsep(&rest, " ")))
        words[argc++] = (struct limit_slice){(const uint8_t *)word, strlen(word)};
    return argc;
}

static inline bool parse_words(uint32_t argc)
{
    const struct command *row = command_find(words[0].bytes, words[0].len, NULL, 0);

    assert_int_equal(row->cls, COMMAND_LIMIT);
    return limit_call_parse(&call, row, words, argc, &settings);
}

static inline uint8_t *encoded(enum limit_dialect dialect, enum limit_form form, int64_t deadline_us, size_t *len)
{
    *len = limit_call_encode(&call, dialect, form, deadline_us, NULL);
    uint8_t *bytes = malloc(*len);

    assert_non_null(bytes);
    assert_int_equal(limit_call_encode(&call, dialect, form, deadline_us, bytes), *len);
    return bytes;
}

/* rg:{tag}:m:k as m:k. */
static inline size_t without_tag(const uint8_t **arg, size_t len)
{
    if (len < 11 || memcmp(*arg, "rg:{", 4) != 0)
        return len;
    *arg += 9;
    return len - 9;
}

static inline char *append(char *at, const uint8_t *bytes, size_t len)
{
    assert_true(at + len + 1 < case_line + sizeof case_line);
    memcpy(at, bytes, len);
    return at + len;
}

/* The encoded request, read back by the proxy's own scanner; the SHA1 as the script's name, without the deadline. */
static inline const char *line_of_call(void)
{
    size_t len, arg_len;
    uint8_t *bytes = encoded(DIALECT_PLAIN, LIMIT_EVALSHA, LIMIT_NEVER_US, &len);
    const struct request_limits limits = {.max_args = 10000, .max_bulk = 1 << 20, .authenticated = true};
    struct request_scan scan = {0};
    struct request_args args;
    const uint8_t *arg;
    char *at = case_line;

    assert_int_equal(request_scan(&scan, bytes, len, &limits), RESP_DONE);
    assert_int_equal(scan.pos, len);
    request_args_start(&args, bytes, len);
    for (int i = 0; request_args_next(&args, &arg, &arg_len); i++) {
        static long keys;

        if (i == 1) {
            assert_memory_equal(arg, limit_script(call.script, DIALECT_PLAIN)->sha, SCRIPT_SHA_LEN);
            at += sprintf(at, "%s |", limit_script(call.script, DIALECT_PLAIN)->name);
        } else if (i == 2) {
            keys = strtol((const char *)arg, NULL, 10);
        } else if (i > 2 && i < 3 + keys) {
            *at++ = ' ';
            arg_len = without_tag(&arg, arg_len);
            at = append(at, arg, arg_len);
        } else if (i == 3 + keys) {
            assert_memory_equal(arg, "9007199254740991", arg_len);
            at += sprintf(at, " |");
        } else if (i > 3) {
            *at++ = ' ';
            at = append(at, arg, arg_len);
        }
    }
    *at = '\0';
    free(bytes);
    return case_line;
}

static inline const char *line_of(const char *command)
{
    if (parse_words(split(command)))
        return line_of_call();
    snprintf(case_line, sizeof case_line, "-%s", call.error);
    return case_line;
}

static inline void becomes(const char *command, const char *line)
{
    const char *got = line_of(command);

    if (strcmp(got, line) != 0)
        fail_msg("%s\n  becomes %s\n  not     %s", command, got, line);
}

#define NOT_INTEGER "-ERR value is not an integer or out of range"
#define OUT_OF_RANGE "-ERR value is out of range"
#define SYNTAX "-ERR syntax error"
#define NOT_POSITIVE "-ERR limit and period must be positive"
#define WRONG_NUMBER(name) "-ERR wrong number of arguments for '" name "' command"
