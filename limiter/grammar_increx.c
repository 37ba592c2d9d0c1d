/*
 * INCREX key [BYINT n | BYFLOAT x] [LBOUND n] [UBOUND n] [SATURATE] [EX s | PX ms | EXAT s | PXAT ms | PERSIST] [ENX],
 * with the texts of Redis 8.8. Options stand in any order and once each.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "limiter/grammar.h"
#include "protocol/reply.h"

enum option {
    BY_INTEGER = 1 << 0,
    BY_FLOAT = 1 << 1,
    LOWER = 1 << 2,
    UPPER = 1 << 3,
    SATURATE = 1 << 4,
    EX = 1 << 5,
    PX = 1 << 6,
    EXAT = 1 << 7,
    PXAT = 1 << 8,
    PERSIST = 1 << 9,
    ENX = 1 << 10,
    TIMES = EX | PX | EXAT | PXAT,
};

static const struct {
    const char *word;
    unsigned option;
    unsigned excludes;
    bool has_value;
} options[] = {
    {"BYINT", BY_INTEGER, BY_FLOAT, true},
    {"BYFLOAT", BY_FLOAT, BY_INTEGER, true},
    {"LBOUND", LOWER, 0, true},
    {"UBOUND", UPPER, 0, true},
    {"SATURATE", SATURATE, 0, false},
    {"EX", EX, TIMES | PERSIST, true},
    {"PX", PX, TIMES | PERSIST, true},
    {"EXAT", EXAT, TIMES | PERSIST, true},
    {"PXAT", PXAT, TIMES | PERSIST, true},
    {"PERSIST", PERSIST, TIMES | ENX, false},
    {"ENX", ENX, PERSIST, false},
};

/* So far in the future that a server takes no relative time for it: its clock plus this must fit 64 bits. */
static const int64_t LONGEST_PX = INT64_MAX - (INT64_C(1) << 43);

struct increx {
    unsigned seen;
    struct limit_slice by, lower, upper, time;
};

static bool read_option(struct grammar *g, struct increx *increx)
{
    for (unsigned i = 0; i < sizeof options / sizeof options[0]; i++) {
        struct limit_slice unused, *value = &unused;

        if (!grammar_word(g, options[i].word))
            continue;
        if (increx->seen & (options[i].option | options[i].excludes))
            return grammar_fail(g, limit_text_syntax);
        increx->seen |= options[i].option;
        if (options[i].option & (BY_INTEGER | BY_FLOAT))
            value = &increx->by;
        else if (options[i].option & LOWER)
            value = &increx->lower;
        else if (options[i].option & UPPER)
            value = &increx->upper;
        else if (options[i].option & TIMES)
            value = &increx->time;
        return !options[i].has_value || grammar_slice(g, value);
    }
    return grammar_fail(g, limit_text_syntax);
}

static bool bad_number(struct grammar *g, const char *what, const char *kind)
{
    snprintf(g->call->error, LIMIT_ERROR_MAX, "ERR %s is not %s", what, kind);
    return false;
}

/* An integer that need not be given. */
static bool integer(struct grammar *g, const struct limit_slice *arg, const char *what, int64_t *n)
{
    return !arg->bytes || number_read(arg->bytes, arg->len, n) || bad_number(g, what, "an integer or out of range");
}

static bool integers(struct grammar *g, const struct increx *increx)
{
    int64_t by = 1, lower = INT64_MIN, upper = INT64_MAX;

    if (!integer(g, &increx->by, "Increment", &by) || !integer(g, &increx->lower, "LBOUND", &lower) ||
        !integer(g, &increx->upper, "UBOUND", &upper))
        return false;
    if (lower > upper)
        return grammar_fail(g, "ERR LBOUND can't be greater than UBOUND");
    g->call->shape = LIMIT_INCREX_INTEGERS;
    grammar_put(g, "int");
    grammar_put_number(g, by);
    grammar_put_number(g, lower);
    grammar_put_number(g, upper);
    return true;
}

static bool a_float(struct grammar *g, const struct limit_slice *arg, const char *what, long double *n)
{
    return !arg->bytes || number_read_float(arg->bytes, arg->len, n) || bad_number(g, what, "a valid float");
}

static void put_float(struct grammar *g, unsigned which, long double n)
{
    char *text = g->call->texts[which];

    grammar_put_bytes(g, &(struct limit_slice){(const uint8_t *)text, number_print_float(text, n)});
}

static void put_bound(struct grammar *g, unsigned which, long double bound)
{
    if (fabsl(bound) > DBL_MAX)
        grammar_put(g, "");
    else
        put_float(g, which, bound);
}

/* A bound that excludes nothing is not sent; one that excludes all is, as an infinity, and rejects every call. */
static bool put_bounds(struct grammar *g, const struct increx *increx, long double lower, long double upper)
{
    bool none_fits = isinf(lower) && isinf(upper) && lower == upper;

    if (none_fits && increx->seen & SATURATE)
        return grammar_fail(g, "ERR applied increment would be Infinity");
    if (none_fits) {
        grammar_put(g, lower > 0 ? "inf" : "");
        grammar_put(g, lower > 0 ? "" : "-inf");
        return true;
    }
    put_bound(g, 1, lower);
    put_bound(g, 2, upper);
    return true;
}

static bool floats(struct grammar *g, const struct increx *increx)
{
    /* Without a bound: the widest that is finite, so that LBOUND inf alone is a contradiction. */
    long double by = 1, lower = -LDBL_MAX, upper = LDBL_MAX;

    if (!a_float(g, &increx->by, "Increment", &by) || !a_float(g, &increx->lower, "LBOUND", &lower) ||
        !a_float(g, &increx->upper, "UBOUND", &upper))
        return false;
    if (isinf(by))
        return bad_number(g, "Increment", "a valid float");
    if (lower > upper)
        return grammar_fail(g, "ERR LBOUND can't be greater than UBOUND");
    g->call->shape = LIMIT_INCREX_FLOATS;
    grammar_put(g, "float");
    put_float(g, 0, by);
    return put_bounds(g, increx, lower, upper);
}

static bool bad_time(struct grammar *g)
{
    return grammar_fail(g, "ERR invalid expire time in 'increx' command");
}

static bool put_time(struct grammar *g, const struct increx *increx)
{
    bool absolute = increx->seen & (EXAT | PXAT);
    int64_t ms;

    if (!(increx->seen & TIMES)) {
        grammar_put(g, increx->seen & PERSIST ? "persist" : "keep");
        grammar_put_number(g, 0);
        return true;
    }
    if (!number_read(increx->time.bytes, increx->time.len, &ms))
        return grammar_fail(g, reply_text_not_integer);
    if (ms <= 0 || (increx->seen & (EX | EXAT) && __builtin_mul_overflow(ms, 1000, &ms)) ||
        (!absolute && ms > LONGEST_PX))
        return bad_time(g);
    grammar_put(g, absolute ? "pxat" : "px");
    grammar_put_number(g, ms);
    return true;
}

bool parse_increx(struct grammar *g)
{
    struct increx increx = {0};

    g->at = 2;
    while (g->at < g->argc) {
        if (!read_option(g, &increx))
            return false;
    }
    if (increx.seen & ENX && !(increx.seen & TIMES))
        return grammar_fail(g, "ERR ENX flag requires an expiration");
    g->call->script = SCRIPT_increx;
    grammar_key(g, &g->args[1], COMPANION_NONE);
    if (!(increx.seen & BY_FLOAT ? floats : integers)(g, &increx))
        return false;
    grammar_put(g, increx.seen & SATURATE ? "saturate" : "reject");
    if (!put_time(g, &increx))
        return false;
    grammar_put(g, increx.seen & ENX ? "enx" : "always");
    return true;
}
