/*
 * What the request and the reply scanner share: reading a length line and passing over a bulk's bytes. Private to
 * protocol/. Rule: Redis serialization protocol specification, read strictly (digits only, no leading zeros, CR LF).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocol/resp.h"

enum {
    LENGTH_MORE = 0, /* the line is not complete, and canonical so far */
    LENGTH_BAD = -1, /* not a canonical number ended by CR LF */
};

/* Any number of digits. At most 19, so that the value cannot overflow. */
static inline int length_read_long(const uint8_t *p, size_t len, uint64_t *n)
{
    uint64_t value = 0;
    size_t i = 1;

    for (; i < len && (uint8_t)(p[i] - '0') <= 9; i++) {
        if (i > 19 || (i == 2 && p[1] == '0')) {
            return LENGTH_BAD;
        }
        value = value * 10 + (uint8_t)(p[i] - '0');
    }
    if (i == len) {
        return LENGTH_MORE;
    }
    if (i == 1 || p[i] != '\r') {
        return LENGTH_BAD;
    }
    if (i + 1 == len) {
        return LENGTH_MORE;
    }
    if (p[i + 1] != '\n') {
        return LENGTH_BAD;
    }
    *n = value;
    return (int)(i + 2);
}

/*
 * Reads the number behind the type byte p[0]. Returns the length of the line with its CR LF, LENGTH_MORE or LENGTH_BAD.
 * Lengths below 100 are nearly all there are, and take no loop.
 */
static inline int length_read(const uint8_t *p, size_t len, uint64_t *n)
{
    if (len >= 5) {
        unsigned tens = (unsigned)p[1] - '0', ones = (unsigned)p[2] - '0';

        if (tens <= 9 && p[2] == '\r' && p[3] == '\n') {
            *n = tens;
            return 4;
        }
        if (tens - 1 <= 8 && ones <= 9 && p[3] == '\r' && p[4] == '\n') {
            *n = tens * 10 + ones;
            return 5;
        }
    }
    return length_read_long(p, len, n);
}

/* Passes over a bulk's bytes and its CR LF; *skip is what is still to come of them. RESP_ERROR stands on the bad byte.
 */
static inline enum resp_status bulk_consume(uint64_t *skip, const uint8_t **p, const uint8_t *end)
{
    if (*skip > 2) {
        uint64_t there = (uint64_t)(end - *p);
        uint64_t body = *skip - 2 < there ? *skip - 2 : there;

        *p += body;
        *skip -= body;
    }
    while (*skip > 0 && *p < end) {
        if (**p != (*skip == 2 ? '\r' : '\n')) {
            return RESP_ERROR;
        }
        (*p)++;
        (*skip)--;
    }
    return *skip == 0 ? RESP_DONE : RESP_MORE;
}
