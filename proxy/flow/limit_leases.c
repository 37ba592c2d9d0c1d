/*
 * RESPGATE LEASES rule [subject]: how many places of one semaphore are held, asked of the backend that the client is
 * on, with the client's own login there: its user needs what SEM.COUNT needs, and the backend refuses whom it would
 * refuse that. Tokens are not told, since who knows a token can give its place away; whoever may see them asks
 * SEM.HOLDERS. What is read is the ends of sorted sets, however many hold a place.
 */
#include "limiter/limit_call.h"
#include "protocol/reply.h"
#include "proxy/flow/client.h"
#include "proxy/flow/limit.h"
#include "proxy/flow/limiter.h"

static size_t refuse(struct client *client, const struct call *call, const char *text, _Atomic uint64_t *outcome)
{
    client_answer_error(client, text, outcome);
    return call->len;
}

size_t limit_leases(struct client *client, const struct call *call)
{
    struct worker *worker = client->worker;
    struct limiter *limiter = worker->limiter;
    const uint8_t *name = NULL, *subject = NULL;
    size_t name_len = 0, subject_len = 0;
    struct limit_slice key;
    struct lane *lane;

    call_arg(call, 2, &name, &name_len);
    call_arg(call, 3, &subject, &subject_len);
    const struct rule *rule = rule_find(worker->settings->rules, name, name_len);
    if (!rule || rule->kind != RULE_SEMAPHORE)
        return refuse(client, call, "ERR no semaphore rule is of that name", &worker->counters.replied);
    lane = dispatch_lane(client);
    if (!lane)
        return 0;
    if (lane->state != LANE_READY)
        return limit_waits_in_vain(client, lane)
                   ? refuse(client, call, reply_text_rgunavail, &worker->counters.unavailable)
                   : 0;
    client->waits_since_ms = 0;
    if (!limiter_key(limiter, rule, subject, subject_len, &key))
        return refuse(client, call, "ERR out of memory", &worker->counters.replied);
    limit_call_leases(&limiter->call, &key, rule->limit);
    /* As text: nobody asks this so often that its digest were worth knowing. */
    size_t len = limiter_encode(limiter, lane->pool->key.backend, LIMIT_EVAL, LIMIT_NEVER_US);
    client_send(client, lane, REQUEST_PLAIN, limiter->out, len);
    return call->len;
}
