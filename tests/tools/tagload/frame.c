#include "tagload/frame.h"

#include <string.h>

/* Reads the decimal number of a header line; -2 when it is not one. */
static long header_number(const uint8_t *p, const uint8_t *end)
{
    long n = 0;

    if (end - p == 2 && p[0] == '-' && p[1] == '1')
        return -1;
    if (p == end || end - p > 10)
        return -2;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9')
            return -2;
        n = n * 10 + (*p - '0');
    }
    return n;
}

/* Values that the element with this header owes behind its header line; -1 when the header is broken. */
static long owed_values(uint8_t type, long n)
{
    switch (type) {
    case '*':
        return n == -1 ? 0 : n;
    case '~':
    case '>':
        return n;
    case '%':
        return 2 * n;
    case '|':
        return 2 * n + 1;
    default:
        return -1;
    }
}

long frame_len(const uint8_t *p, size_t len)
{
    size_t pos = 0;
    long owed = 1;

    while (owed > 0) {
        if (pos >= len)
            return 0;
        const uint8_t *cr = memchr(p + pos, '\r', len - pos);
        uint8_t type = p[pos];

        if (!strchr("+-:_,#($!=*~>%|", type) || type == '\0')
            return -1;
        if (!cr || cr + 1 >= p + len)
            return 0;
        if (cr[1] != '\n')
            return -1;
        long n = header_number(p + pos + 1, cr);
        size_t after = (size_t)(cr - p) + 2;

        owed--;
        if (strchr("$!=", type)) {
            if (n == -2 || (n == -1 && type != '$'))
                return -1;
            if (n >= 0)
                after += (size_t)n + 2;
            if (after > len)
                return 0;
            if (n >= 0 && memcmp(p + after - 2, "\r\n", 2) != 0)
                return -1;
        } else if (strchr("*~>%|", type)) {
            long more = n == -2 ? -1 : owed_values(type, n);

            if (more < 0)
                return -1;
            owed += more;
        }
        pos = after;
    }
    return (long)pos;
}
