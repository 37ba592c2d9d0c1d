#include "protocol/glob.h"

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 0x20) : c;
}

static bool in_range(uint8_t a, uint8_t b, uint8_t c)
{
    a = lower(a);
    b = lower(b);
    c = lower(c);
    return a <= b ? a <= c && c <= b : b <= c && c <= a;
}

/* What stands in brackets; *used is its length with them. Without a closing one it ends where the pattern does. */
static bool match_set(const uint8_t *p, size_t len, uint8_t c, size_t *used)
{
    bool negated = len > 1 && p[1] == '^', found = false;
    size_t i = negated ? 2 : 1;

    while (i < len && p[i] != ']') {
        if (p[i] == '\\' && i + 1 < len) {
            found = found || p[i + 1] == c;
            i += 2;
        } else if (i + 2 < len && p[i + 1] == '-') {
            found = found || in_range(p[i], p[i + 2], c);
            i += 3;
        } else {
            found = found || lower(p[i]) == lower(c);
            i++;
        }
    }
    *used = i < len ? i + 1 : len;
    return found != negated;
}

/* One step of a pattern that is not at a `*`; *used is what the step takes of the pattern. */
static bool match_one(const uint8_t *p, size_t len, uint8_t c, size_t *used)
{
    *used = 1;
    if (*p == '?') {
        return true;
    }
    if (*p == '[') {
        return match_set(p, len, c, used);
    }
    if (*p == '\\' && len > 1) {
        *used = 2;
        p++;
    }
    return lower(*p) == lower(c);
}

bool glob_match(const uint8_t *pattern, size_t pattern_len, const char *text, size_t len)
{
    size_t p = 0, t = 0, used = 0;
    size_t star = SIZE_MAX, retry = 0; /* behind the last `*`; what of the text it has not taken yet */

    while (t < len) {
        if (p < pattern_len && pattern[p] == '*') {
            star = ++p;
            retry = t;
        } else if (p < pattern_len && match_one(pattern + p, pattern_len - p, (uint8_t)text[t], &used)) {
            p += used;
            t++;
        } else if (star != SIZE_MAX) { /* only the last one need take more */
            p = star;
            t = ++retry;
        } else {
            return false;
        }
    }
    while (p < pattern_len && pattern[p] == '*') {
        p++;
    }
    return p == pattern_len;
}
