#include "limiter/number.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Digits only, at least one. */
static bool read_digits(const uint8_t *bytes, size_t len, bool negative, int64_t *n)
{
    int64_t value = 0;

    if (len == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        int digit = bytes[i] - '0';

        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) /* downwards, where there is one more */
            return false;
    }
    if (!negative && value == INT64_MIN)
        return false;
    *n = negative ? value : -value;
    return true;
}

bool number_read(const uint8_t *bytes, size_t len, int64_t *n)
{
    bool negative = len > 1 && bytes[0] == '-';
    size_t first = negative ? 1 : 0;

    if (len > first && bytes[first] == '0' && len > 1)
        return false;
    return read_digits(bytes + first, len - first, negative, n);
}

bool number_read_signed(const uint8_t *bytes, size_t len, int64_t *n)
{
    size_t first = len > 0 && (bytes[0] == '-' || bytes[0] == '+') ? 1 : 0;

    return read_digits(bytes + first, len - first, first && bytes[0] == '-', n);
}

bool number_read_float(const uint8_t *bytes, size_t len, long double *n)
{
    char text[NUMBER_FLOAT_TEXT_MAX], *end = NULL;

    if (len == 0 || len >= sizeof text || isspace(bytes[0]))
        return false;
    memcpy(text, bytes, len);
    text[len] = '\0';
    *n = strtold(text, &end);
    if (end != text + len || isnan(*n))
        return false;
    if (fabsl(*n) > DBL_MAX)
        *n = *n > 0 ? HUGE_VALL : -HUGE_VALL;
    return true;
}

size_t number_print_float(char text[NUMBER_FLOAT_MAX], long double n)
{
    int len = snprintf(text, NUMBER_FLOAT_MAX, "%.17Lf", n);

    if (memchr(text, '.', (size_t)len)) {
        while (text[len - 1] == '0')
            len--;
        if (text[len - 1] == '.')
            len--;
    }
    if (len == 2 && memcmp(text, "-0", 2) == 0) {
        text[0] = '0';
        len = 1;
    }
    return (size_t)len;
}
