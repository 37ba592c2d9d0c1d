/*
 * What a client's own limiter script returns, in the terms of the limiter command that stands for it:
 *
 *   returns = ALLOWED | DENIED         without | the same for both
 *   each: a value, or [value ...]      value: an integer, nil, OK, or the name of a figure
 *
 *   figure     limit  remaining  used  retry_ms  retry_s  reset_ms  reset_s  lease_ms  fence  slot  value
 *   LIM.*        x        x       x       x         x        x         x
 *   SEM.ACQUIRE  x        x       x       x         x                           x       x      x
 *   CL.THROTTLE  x        x       x                 x                  x
 *   others                                                                                          x
 *
 * Two ways to the same bytes: from the command's reply here, and as Lua behind the command's script where replies are
 * not looked at. One row a figure says both. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct command;
struct reply_writer;

enum { ADOPT_VALUES_MAX = 12 };

/* By the shapes of limiter commands' replies. */
enum adopt_family { ADOPT_LIMIT, ADOPT_SEM, ADOPT_THROTTLE, ADOPT_NUMBER, ADOPT_FAMILIES, ADOPT_FOREIGN = -1 };

struct adopt_value {
    enum { ADOPT_INTEGER, ADOPT_NIL, ADOPT_OK, ADOPT_FIGURE } kind;
    int64_t n; /* the integer, or which figure */
};

struct adopt_shape {
    bool is_array;
    unsigned n;
    struct adopt_value values[ADOPT_VALUES_MAX];
};

struct adopt_returns {
    enum adopt_family family;
    struct adopt_shape allowed, denied;
};

/* ADOPT_FOREIGN: a command that no script can be taken for. */
enum adopt_family adopt_family_of(const struct command *row);

/* False: the error says what is wrong. */
bool adopt_returns_read(struct adopt_returns *returns, enum adopt_family family, const char *text, char *error,
                        size_t error_len);

/* Makes the client's reply of the command's; false: that is an error, or what no such command replies. */
bool adopt_reply(const struct adopt_returns *returns, const uint8_t *reply, size_t len, unsigned resp,
                 struct reply_writer *w);

/* Writes the Lua that makes it of `limit()`. */
void adopt_reply_lua(const struct adopt_returns *returns, FILE *out);
