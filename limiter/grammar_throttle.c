/* CL.THROTTLE key max_burst count period [quantity], with redis-cell's texts. */
#include <stdio.h>
#include <string.h>

#include "limiter/grammar.h"

#define NS INT64_C(1000000000)

/* The argument's bytes are part of the text; NUL would end it. */
static bool bad_integer(struct grammar *g, const struct limit_slice *arg)
{
    char *error = g->call->error;
    size_t len = (size_t)snprintf(error, LIMIT_ERROR_MAX, "Cell error: Store error: Couldn't parse as integer: ");
    size_t room = LIMIT_ERROR_MAX - 1 - len;

    for (size_t i = 0; i < arg->len && i < room; i++)
        error[len++] = (char)(arg->bytes[i] ? arg->bytes[i] : ' ');
    error[len] = '\0';
    return false;
}

/* As seconds and nanoseconds, the latter never negative. */
static void put_duration(struct grammar *g, int64_t ns)
{
    int64_t s = ns / NS, rest = ns % NS;

    grammar_put_number(g, rest < 0 ? s - 1 : s);
    grammar_put_number(g, rest < 0 ? rest + NS : rest);
}

/* The emission interval in ns; false when there is none that 64 bits hold. */
static bool interval(int64_t count, int64_t period, int64_t *e)
{
    int64_t period_ns;

    *e = 0;
    if (__builtin_mul_overflow(period, NS, &period_ns))
        return false;
    if (count != 0)
        *e = (int64_t)((double)period_ns / (double)count);
    return true;
}

static bool throttle(struct grammar *g, const int64_t number[4])
{
    int64_t limit, tolerance, cost, e;

    if (!interval(number[1], number[2], &e))
        return grammar_fail(g, limit_text_range);
    if (e < 1)
        return grammar_fail(g, limit_text_zero_rate);
    if (__builtin_add_overflow(number[0], 1, &limit) || limit > LIMIT_NEVER_US || limit < -LIMIT_NEVER_US ||
        __builtin_mul_overflow(e, limit, &tolerance) || __builtin_mul_overflow(e, number[3], &cost))
        return grammar_fail(g, limit_text_range);
    g->call->script = SCRIPT_cl_throttle;
    g->call->repeatable = cost == 0;
    grammar_key(g, &g->args[1], COMPANION_NONE);
    grammar_put_number(g, limit);
    put_duration(g, tolerance);
    put_duration(g, cost);
    grammar_put_number(g, e >= 1000 ? e / 1000 : e);
    grammar_put_number(g, e >= 1000 ? 1000 : 1);
    grammar_put_number(g, g->settings->throttle_exact ? 1000000 : 1);
    return true;
}

bool parse_throttle(struct grammar *g)
{
    int64_t number[4] = {0, 0, 0, 1}; /* burst, count, period, quantity */

    if (g->argc != 5 && g->argc != 6)
        return grammar_fail(g, limit_text_throttle_usage);
    for (uint32_t i = 2; i < g->argc; i++) {
        if (!number_read_signed(g->args[i].bytes, g->args[i].len, &number[i - 2]))
            return bad_integer(g, &g->args[i]);
    }
    return throttle(g, number);
}
