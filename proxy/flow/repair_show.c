#include <string.h>

#include "limiter/repair_call.h"
#include "protocol/reply.h"
#include "proxy/flow/client.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/repair.h"
#include "proxy/flow/script_cache.h"

static const char text_noscript[] = "NOSCRIPT No matching script. Please use EVAL.";

enum sight { AS_IT_IS, SHOWN, UNKNOWN };

bool repair_shows(const struct client *client, const struct command *row)
{
    const struct settings *settings = client->worker->settings;

    return settings->rewritten[row->index] == REWRITE_SCRIPT && row->id != CMD_SCRIPT_EXISTS && settings->shows;
}

/* Most scripts are given one key of others, which its beginning shows: no more is read of those. */
static bool is_one_of_others(const struct client *client, const struct call *call)
{
    static const char one[] = "\r\n$1\r\n1\r\n$";
    enum { ONE_LEN = sizeof(one) - 1 };
    const uint8_t *end = call->bytes + call->len, *at = call->sub ? call->sub + call->sub_len : end;

    if ((size_t)(end - at) <= ONE_LEN || memcmp(at, one, ONE_LEN) != 0)
        return false;
    at = memchr(at + ONE_LEN, '\n', (size_t)(end - at) - ONE_LEN);
    return at && at + 1 < end && at[1] != '\r' && !client->worker->settings->repaired_keys[at[1]];
}

static bool may_show(const struct client *client, const struct call *call)
{
    const struct settings *settings = client->worker->settings;
    struct request_args walk;
    const uint8_t *arg;
    int64_t keys;
    size_t len;

    request_args_start(&walk, call->bytes, call->len);
    for (unsigned i = 0; i < 3; i++)
        if (!request_args_next(&walk, &arg, &len))
            return false;
    if (!number_read(arg, len, &keys))
        return false;
    for (; keys > 0 && request_args_next(&walk, &arg, &len); keys--)
        if (len && settings->repaired_keys[arg[0]] && repair_table_find(settings->repairs, REPAIR_ZSET, arg, len))
            return true;
    return false;
}

/* Reads a call in canonical form into the limiter's. */
static enum sight read_call(struct client *client, const struct call *call)
{
    struct limiter *limiter = client->worker->limiter;
    struct limit_slice *args = limiter->args, text;
    struct request_args walk;
    uint32_t n = 0;

    if (!repair_shows(client, call->row) || is_one_of_others(client, call) || !may_show(client, call))
        return AS_IT_IS;
    request_args_start(&walk, call->bytes, call->len);
    while (n < LIMIT_ARGS_MAX && request_args_next(&walk, &args[n].bytes, &args[n].len))
        n++;
    if (n < 4 || n < call->argc)
        return AS_IT_IS;
    text = args[1];
    if (call->row->id == CMD_EVALSHA)
        text.bytes = script_text(client->worker, args[1].bytes, args[1].len, &text.len);
    else
        script_note(client->worker, text.bytes, text.len);
    static const struct limit_slice none = {(const uint8_t *)"", 0};
    limiter->rule = NULL;
    if (!repair_call_show(&limiter->call, client->worker->settings->repairs, args + 2, n - 2,
                          text.bytes ? &text : &none))
        return AS_IT_IS;
    return text.bytes ? SHOWN : UNKNOWN;
}

static size_t encode(struct client *client, const struct lane *lane)
{
    count(client->worker, repairs);
    return limiter_encode(client->worker->limiter, lane->pool->key.backend, LIMIT_EVAL, LIMIT_NEVER_US);
}

bool repair_show_dispatch(struct client *client, struct lane *lane, const struct call *call, size_t *used)
{
    bool refused_there = session_subscriptions(&client->session) && client->pool->key.resp == 2;
    enum sight sight = refused_there ? AS_IT_IS : read_call(client, call);

    *used = 0;
    if (sight == AS_IT_IS || (sight == UNKNOWN && client->session.tx_open))
        return false;
    if (sight == UNKNOWN) {
        if (client_drained(client)) {
            client_answer_error(client, text_noscript, &client->worker->counters.replied);
            *used = call->len;
        }
        return true;
    }
    size_t len = encode(client, lane);
    client_send(client, lane, dispatch_plain_kind(client, call), client->worker->limiter->out, len);
    *used = call->len;
    return true;
}

size_t repair_show_in_tunnel(struct client *client, const struct call *call)
{
    return read_call(client, call) == SHOWN ? encode(client, client->pin) : 0;
}

bool repair_show_explain(FILE *out, struct client *client, const struct call *call)
{
    enum sight sight = read_call(client, call);

    if (sight == SHOWN)
        fputs("why:a script of the client's own: it sees what is reserved as members of its keys\r\n", out);
    return sight == SHOWN;
}
