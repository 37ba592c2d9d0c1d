#include "limiter/pattern.h"

/* A set from behind its '[': whether it holds the byte. *at moves behind its ']', or to the end where there is none. */
static bool in_set(const char **at, const char *end, uint8_t byte)
{
    const char *p = *at;
    bool inverted = p < end && *p == '^', found = false;

    for (p += inverted; p < end && *p != ']'; p++) {
        if (*p == '\\' && p + 1 < end)
            p++;
        uint8_t low = (uint8_t)*p, high = low;

        if (p + 2 < end && p[1] == '-') {
            high = (uint8_t)p[2];
            p += 2;
        }
        found = found || (low <= high ? byte >= low && byte <= high : byte >= high && byte <= low);
    }
    *at = p < end ? p + 1 : end;
    return found != inverted;
}

/* What stands at *at, which is no star, against one byte; *at moves behind it. */
static bool one(const char **at, const char *end, uint8_t byte)
{
    char c = *(*at)++;

    if (c == '?')
        return true;
    if (c == '[')
        return in_set(at, end, byte);
    if (c == '\\' && *at < end)
        c = *(*at)++;
    return (uint8_t)c == byte;
}

/* Only the last star can be wrong about how much it takes: what stood before it fits whatever it takes. */
bool pattern_matches(const char *pattern, size_t pattern_len, const uint8_t *key, size_t key_len)
{
    const char *end = pattern + pattern_len, *behind_star = NULL;
    const uint8_t *key_end = key + key_len, *taken = NULL;

    while (key < key_end) {
        if (pattern < end && *pattern == '*') {
            behind_star = ++pattern;
            taken = key;
        } else if (pattern < end && one(&pattern, end, *key)) {
            key++;
        } else if (behind_star) {
            pattern = behind_star;
            key = ++taken;
        } else {
            return false;
        }
    }
    while (pattern < end && *pattern == '*')
        pattern++;
    return pattern == end;
}

size_t pattern_literal(const char *pattern, size_t len)
{
    size_t n = 0;

    while (n < len && pattern[n] != '*' && pattern[n] != '?' && pattern[n] != '[' && pattern[n] != '\\')
        n++;
    return n;
}
