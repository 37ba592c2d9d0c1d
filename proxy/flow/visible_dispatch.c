#include "proxy/flow/visible_dispatch.h"

#include "limiter/visible.h"
#include "proxy/flow/client.h"
#include "proxy/flow/limiter.h"

/* As text each time: they are rare, the script is small, and a NOSCRIPT would have to be put right. */
static size_t encode(struct client *client, const struct lane *lane, const struct call *call)
{
    struct limiter *limiter = client->worker->limiter;
    struct request_args walk;
    uint32_t n = 0;

    if (client->worker->settings->rewritten[call->row->index] != REWRITE_VISIBLE)
        return 0;
    request_args_start(&walk, call->bytes, call->len);
    while (n < LIMIT_ARGS_MAX && request_args_next(&walk, &limiter->args[n].bytes, &limiter->args[n].len))
        n++;
    if (n < call->argc || !visible_call(&limiter->call, call->row, limiter->args, n))
        return 0;
    return limiter_encode(limiter, lane->pool->key.backend, LIMIT_EVAL, LIMIT_NEVER_US);
}

bool visible_dispatch(struct client *client, struct lane *lane, const struct call *call)
{
    bool refused_there = session_subscriptions(&client->session) && client->pool->key.resp == 2;
    size_t len = refused_there ? 0 : encode(client, lane, call);

    if (len)
        client_send(client, lane, REQUEST_PLAIN, client->worker->limiter->out, len);
    return len;
}

size_t visible_encode_in_tunnel(struct client *client, const struct call *call)
{
    return encode(client, client->pin, call);
}
