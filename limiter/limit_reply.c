#include "limiter/limit_reply.h"

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
