/*
 * Printing integers: replies and requests are made of small ones, and printf takes several times as long as the rest of
 * making them. Pure; nothing is kept.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { DECIMAL_MAX = 20 }; /* bytes of the longest: -9223372036854775808 */

/* Writes the digits, and a sign before a negative number, before `end`; returns the first byte. */
static inline char *decimal_print(char *end, int64_t n)
{
    uint64_t rest = n < 0 ? -(uint64_t)n : (uint64_t)n;

    do {
        *--end = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (n < 0)
        *--end = '-';
    return end;
}
