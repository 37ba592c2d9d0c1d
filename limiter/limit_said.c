#include "limiter/limit_said.h"

#include "protocol/reply.h"

static enum limit_said no_for(const int64_t *fields, unsigned n, enum limit_reason *reason)
{
    *reason = (enum limit_reason)fields[n - 1];
    return LIMIT_SAID_NO;
}

/* LIMIT and SEM replies begin with the verdict and end with the reason; most are read no further than the first. */
static enum limit_said verdict(const char *yes, const uint8_t *reply, size_t len, unsigned n, enum limit_reason *reason)
{
    int64_t fields[SEM_FIELDS];

    if (reply_starts_with(reply, len, yes))
        return LIMIT_SAID_YES;
    return limit_reply_read(reply, len, fields, n) ? no_for(fields, n, reason) : LIMIT_SAID_NOTHING;
}

enum limit_said limit_said(enum limit_script_id script, const uint8_t *reply, size_t len, enum limit_reason *reason)
{
    *reason = REASON_LIMITED;
    if (len && reply[0] == '-')
        return LIMIT_SAID_ERROR;
    switch (script) {
    case SCRIPT_lim_gcra:
    case SCRIPT_lim_window:
    case SCRIPT_lim_slide:
    case SCRIPT_lim_slide_log:
        return verdict("*8\r\n:1\r\n", reply, len, LIMIT_FIELDS, reason);
    case SCRIPT_sem_acquire:
    case SCRIPT_sem_acquire_fifo:
        return verdict("*10\r\n:1\r\n", reply, len, SEM_FIELDS, reason);
    case SCRIPT_cl_throttle:
        return reply_starts_with(reply, len, "*5\r\n:0\r\n") ? LIMIT_SAID_YES : LIMIT_SAID_NO;
    case SCRIPT_lim_multi:
        return reply_starts_with(reply, len, "*4\r\n:1\r\n") ? LIMIT_SAID_YES : LIMIT_SAID_NO;
    default:
        return LIMIT_SAID_NOTHING;
    }
}
