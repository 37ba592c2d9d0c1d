#include "limiter/limit_reply.h"

#include <string.h>

#include "limiter/number.h"
#include "protocol/reply.h"

static int64_t seconds(int64_t ms)
{
    return ms / 1000 + (ms % 1000 > 0);
}

void limit_reply_to_throttle(const int64_t limit[LIMIT_FIELDS], int64_t throttle[THROTTLE_FIELDS])
{
    int64_t retry_ms = limit[LIMIT_RETRY_MS];

    throttle[THROTTLE_LIMITED] = !limit[LIMIT_ALLOWED];
    throttle[THROTTLE_LIMIT] = limit[LIMIT_LIMIT];
    throttle[THROTTLE_REMAINING] = limit[LIMIT_REMAINING];
    throttle[THROTTLE_RETRY_S] = retry_ms < 0 ? -1 : seconds(retry_ms);
    throttle[THROTTLE_RESET_S] = seconds(limit[LIMIT_RESET_MS]);
}

void limit_reply_put(struct reply_writer *w, const int64_t *fields, unsigned n)
{
    reply_array(w, n);
    for (unsigned i = 0; i < n; i++)
        reply_integer(w, fields[i]);
}

/* One line ":n\r\n" or "*n\r\n"; *reply moves behind it. */
static bool read_line(const uint8_t **reply, const uint8_t *end, char type, int64_t *n)
{
    const uint8_t *at = *reply, *cr = at < end ? memchr(at, '\r', (size_t)(end - at)) : NULL;

    if (!cr || cr + 1 >= end || cr[1] != '\n' || *at != (uint8_t)type || !number_read(at + 1, (size_t)(cr - at - 1), n))
        return false;
    *reply = cr + 2;
    return true;
}

bool limit_reply_read(const uint8_t *reply, size_t len, int64_t *fields, unsigned n)
{
    const uint8_t *end = reply + len;
    int64_t count;

    if (!read_line(&reply, end, '*', &count) || count != (int64_t)n)
        return false;
    for (unsigned i = 0; i < n; i++) {
        if (!read_line(&reply, end, ':', &fields[i]))
            return false;
    }
    return reply == end;
}

bool limit_reply_next(const uint8_t **at, const uint8_t *end, unsigned skip, int64_t *field)
{
    for (; skip > 0; skip--) {
        const uint8_t *line_end = memchr(*at, '\n', (size_t)(end - *at));
        if (!line_end)
            return false;
        *at = line_end + 1;
    }
    return read_line(at, end, ':', field);
}
