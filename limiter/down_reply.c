#include "limiter/down_reply.h"

#include "limiter/limit_reply.h"
#include "protocol/reply.h"

/* What every kind of reply is made of. */
struct verdict {
    bool allowed;
    int64_t retry_ms;
    enum limit_reason reason;
};

static struct verdict judge(const struct down_call *call, bool allow, int64_t retry_ms)
{
    if (call->cost > call->limit)
        return (struct verdict){false, LIMIT_RETRY_NEVER, REASON_COST};
    if (allow)
        return (struct verdict){true, LIMIT_RETRY_NONE, REASON_OPEN};
    return (struct verdict){false, retry_ms, REASON_CLOSED};
}

/* Whoever looks at figures alone must find what the verdict says: something left, or nothing. */
static void put_limit(struct reply_writer *w, const struct down_call *call, const struct verdict *verdict)
{
    int64_t wait_ms = verdict->retry_ms > 0 ? verdict->retry_ms : 0;
    int64_t fields[LIMIT_FIELDS] = {
        [LIMIT_ALLOWED] = verdict->allowed,
        [LIMIT_LIMIT] = call->limit,
        [LIMIT_REMAINING] = verdict->allowed ? call->limit - (call->cost > 0 ? call->cost : 0) : 0,
        [LIMIT_RETRY_MS] = verdict->retry_ms,
        [LIMIT_RESET_MS] = wait_ms,
        [LIMIT_NEXT_MS] = wait_ms,
        [LIMIT_CHARGED] = 0,
        [LIMIT_REASON] = verdict->reason,
    };
    int64_t throttle[THROTTLE_FIELDS];

    if (call->kind == DOWN_LIMIT) {
        limit_reply_put(w, fields, LIMIT_FIELDS);
        return;
    }
    limit_reply_to_throttle(fields, throttle);
    limit_reply_put(w, throttle, THROTTLE_FIELDS);
}

static void put_sem(struct reply_writer *w, const struct down_call *call, const struct verdict *verdict)
{
    int64_t fields[SEM_FIELDS] = {
        [SEM_GRANTED] = verdict->allowed,
        [SEM_LIVE] = verdict->allowed ? call->cost : call->limit,
        [SEM_MAX] = call->limit,
        [SEM_LEASE_LEFT_MS] = verdict->allowed ? call->lease_ms : 0,
        [SEM_FENCE] = 0,
        [SEM_SLOT] = -1,
        [SEM_ALREADY] = 0,
        [SEM_RETRY_MS] = verdict->retry_ms,
        [SEM_QUEUE_POS] = -1,
        [SEM_REASON] = verdict->reason,
    };

    limit_reply_put(w, fields, SEM_FIELDS);
}

static void put(struct reply_writer *w, const struct down_call *call, const struct verdict *verdict)
{
    switch (call->kind) {
    case DOWN_LIMIT:
    case DOWN_THROTTLE:
        put_limit(w, call, verdict);
        return;
    case DOWN_SEM:
        put_sem(w, call, verdict);
        return;
    case DOWN_ERROR:
        reply_error(w, reply_text_rgunavail);
        return;
    }
}

void down_reply(struct reply_writer *w, const struct down_call *call, bool allow, int64_t retry_ms)
{
    struct verdict verdict = judge(call, allow, retry_ms);

    put(w, call, &verdict);
}

void down_reply_multi(struct reply_writer *w, const struct down_call *calls, size_t n, bool allow, int64_t retry_ms)
{
    struct verdict whole = {true, LIMIT_RETRY_NONE, REASON_OPEN};
    int64_t binding = -1;

    for (size_t i = 0; i < n && whole.retry_ms != LIMIT_RETRY_NEVER; i++) {
        struct verdict verdict = judge(&calls[i], allow, retry_ms);

        if (!verdict.allowed && (whole.allowed || verdict.retry_ms == LIMIT_RETRY_NEVER)) {
            whole = verdict;
            binding = (int64_t)i;
        }
    }
    reply_array(w, 4);
    reply_integer(w, whole.allowed);
    reply_integer(w, binding);
    reply_integer(w, whole.retry_ms);
    reply_array(w, n);
    for (size_t i = 0; i < n; i++)
        down_reply(w, &calls[i], allow, retry_ms);
}
