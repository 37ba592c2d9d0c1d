#include "proxy/flow/adopt.h"

#include <openssl/sha.h>
#include <string.h>

#include "limiter/adopt.h"
#include "limiter/limit_facts.h"
#include "protocol/reply.h"
#include "proxy/flow/client.h"
#include "proxy/flow/error_code.h"
#include "proxy/flow/limit.h"
#include "proxy/flow/limit_kept.h"
#include "proxy/flow/limit_notes.h"
#include "proxy/flow/limiter.h"
#include "proxy/net/log.h"

enum { REPLY_MAX = 512, RETRY_MS = 1000 };

static const struct adopt_table *table_of(const struct client *client)
{
    return client->worker->settings->adoptions;
}

static void sha_of(const uint8_t *text, size_t len, uint8_t hex[SCRIPT_SHA_LEN])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[SHA_DIGEST_LENGTH];

    SHA1(text, len, digest);
    for (unsigned i = 0; i < SHA_DIGEST_LENGTH; i++) {
        hex[2 * i] = (uint8_t)digits[digest[i] >> 4];
        hex[2 * i + 1] = (uint8_t)digits[digest[i] & 15];
    }
}

/* The SHA1 of a script that some rule names; NULL: none does. `room` is where it may be. */
static const uint8_t *named(const struct client *client, const struct command *row, const uint8_t *script, size_t len,
                            uint8_t room[SCRIPT_SHA_LEN])
{
    if (row->id == CMD_EVAL) {
        sha_of(script, len, room);
        script = room;
        len = SCRIPT_SHA_LEN;
    } else if (row->id != CMD_EVALSHA) {
        return NULL;
    }
    return adopt_table_has(table_of(client), script, len) ? script : NULL;
}

bool adopt_is_named(const struct client *client, const struct command *row, const uint8_t *script, size_t len)
{
    uint8_t room[SCRIPT_SHA_LEN];

    return script && client->worker->settings->rewritten[row->index] == REWRITE_SCRIPT &&
           adopt_table_count(table_of(client)) && named(client, row, script, len, room);
}

/* Reads a call in canonical form into the limiter's. */
static enum adopt_fit read_call(struct client *client, const struct command *row, const uint8_t *bytes, size_t len)
{
    struct limiter *limiter = client->worker->limiter;
    struct request_args walk;
    struct limit_slice *args = limiter->args;
    uint8_t room[SCRIPT_SHA_LEN];
    uint32_t n = 0;

    if (client->worker->settings->rewritten[row->index] != REWRITE_SCRIPT || !adopt_table_count(table_of(client)))
        return ADOPT_NONE;
    request_args_start(&walk, bytes, len);
    while (n < 2 && request_args_next(&walk, &args[n].bytes, &args[n].len))
        n++;
    const uint8_t *sha = n < 2 ? NULL : named(client, row, args[1].bytes, args[1].len, room);
    if (!sha)
        return ADOPT_NONE;
    while (n < LIMIT_ARGS_MAX && request_args_next(&walk, &args[n].bytes, &args[n].len))
        n++;
    enum adopt_fit fit = adopt_call(table_of(client), sha, args + 2, n - 2, &client->worker->settings->limiter.calls,
                                    &limiter->call, &limiter->adopted);
    limiter->rule = NULL;
    limiter->adoption = fit == ADOPT_FITS ? limiter->adopted.adoption : NULL;
    return fit;
}

/* --- without a backend --- */

/* What the script would say if all were denied, or allowed; 0: nothing that it could say is true. */
static size_t say(struct client *client, unsigned resp, bool allow, uint8_t *bytes, size_t cap)
{
    struct limiter *limiter = client->worker->limiter;
    struct reply_writer w = {.bytes = bytes, .cap = cap};
    uint8_t fields[REPLY_MAX];
    struct reply_writer command = {.bytes = fields, .cap = sizeof(fields)};
    struct down_call downs[LIMIT_MULTI_MAX];
    bool multi;

    limit_facts_down(&limiter->call, downs, &multi);
    down_reply(&command, &downs[0], allow, RETRY_MS);
    if (!adopt_reply(&limiter->adopted.adoption->returns, fields, command.len, resp, &w))
        return 0;
    count(client->worker, limits_down);
    return w.len;
}

/* Of the call that was read. */
static size_t answer_down(struct client *client, const struct call *call)
{
    uint8_t bytes[REPLY_MAX];
    const struct adoption *adoption = client->worker->limiter->adopted.adoption;

    if (!client_drained(client))
        return 0;
    limit_log_down(client->worker->limiter, adoption->name, adoption->allow ? RULE_DOWN_ALLOW : RULE_DOWN_DENY);
    count(client->worker, limits);
    size_t len = say(client, client->pool->key.resp, adoption->allow, bytes, sizeof(bytes));
    limit_note_script_down(client->worker->limiter);
    if (len)
        client_answer(client, &(struct reply_writer){.bytes = bytes, .len = len}, &client->worker->counters.replied);
    else
        client_answer_error(client, reply_text_rgunavail, &client->worker->counters.unavailable);
    return call->len;
}

/* It is not sent as it is: its client would believe in a limit that nobody keeps. */
static size_t refuse(struct client *client, const struct call *call)
{
    if (!client_drained(client))
        return 0;
    client->session.tx_poisoned |= client->session.tx_open;
    client_answer_error(client, client->worker->limiter->adopted.error, &client->worker->counters.replied);
    return call->len;
}

bool adopt_dispatch_down(struct client *client, const struct call *call, size_t *used)
{
    enum adopt_fit fit = read_call(client, call->row, call->bytes, call->len);

    if (fit != ADOPT_NONE)
        *used = fit == ADOPT_FITS ? answer_down(client, call) : refuse(client, call);
    return fit != ADOPT_NONE;
}

/* --- with one --- */

/* The backend's answer is put right when it comes. */
static bool ask_for_scripts(struct client *client, struct lane *lane, const struct call *call, size_t *used)
{
    if (call->argc < 3 || !adopt_table_count(table_of(client)) || client->session.tx_open || client_is_muted(client))
        return false;
    limit_send_as_it_is(client, lane, call)->adopted = true;
    *used = call->len;
    return true;
}

bool adopt_dispatch(struct client *client, struct lane *lane, const struct call *call, size_t *used)
{
    bool refused_there = session_subscriptions(&client->session) && client->pool->key.resp == 2;

    *used = 0;
    if (call->row->id == CMD_SCRIPT_EXISTS)
        return !refused_there && ask_for_scripts(client, lane, call, used);
    if (refused_there || !adopt_is_named(client, call->row, call->sub, call->sub_len))
        return false;
    enum adopt_fit fit = read_call(client, call->row, call->bytes, call->len);
    if (fit == ADOPT_NONE)
        return false;
    if (fit == ADOPT_MISFIT) {
        *used = refuse(client, call);
        return true;
    }
    if (lane->state != LANE_READY) {
        if (limit_waits_in_vain(client, lane))
            *used = answer_down(client, call);
        return true;
    }
    if (client->session.tx_open) {
        client->worker->limiter->call.after = client->worker->limiter->adopted.adoption->after;
        limit_queue(client, lane);
    } else {
        limit_send(client, lane, call)->adopted = true;
    }
    *used = call->len;
    return true;
}

size_t adopt_encode_in_tunnel(struct client *client, const struct call *call)
{
    struct limiter *limiter = client->worker->limiter;

    if (read_call(client, call->row, call->bytes, call->len) != ADOPT_FITS)
        return 0;
    count(client->worker, limits);
    limit_note_queued(limiter);
    limiter->call.after = limiter->adopted.adoption->after;
    return limiter_encode(limiter, client->pin->pool->key.backend, LIMIT_EVAL, LIMIT_NEVER_US);
}

/* --- what it became --- */

bool adopt_again(struct client *client, const struct limit_kept *kept)
{
    client->worker->limiter->error = reply_text_rgunavail;
    return read_call(client, kept->row, kept->bytes, kept->len) == ADOPT_FITS;
}

/* `*n :0 :1 ...`, one digit for each name; those of rules are there. */
static size_t tell_of_scripts(struct client *client, const struct limit_kept *kept, const uint8_t *reply, size_t len,
                              uint8_t *bytes, size_t cap)
{
    enum { DIGIT_LEN = 4 };
    struct request_args walk;
    const uint8_t *name, *first = len ? memchr(reply, '\n', len) : NULL;
    size_t name_len;

    request_args_start(&walk, kept->bytes, kept->len);
    size_t n = walk.left - 2, at = first ? (size_t)(first + 1 - reply) : 0;
    if (!first || reply[0] != '*' || len > cap || len != at + n * DIGIT_LEN)
        return 0;
    memcpy(bytes, reply, len);
    request_args_next(&walk, &name, &name_len);
    request_args_next(&walk, &name, &name_len);
    for (; request_args_next(&walk, &name, &name_len); at += DIGIT_LEN) {
        if (adopt_table_has(table_of(client), name, name_len))
            bytes[at + 1] = '1';
    }
    return len;
}

/* A client that takes errors for leave to go on must not be given one where its rule denies. */
static size_t answer_failed(struct client *client, const struct limit_kept *kept, unsigned resp, const uint8_t *error,
                            size_t len, uint8_t *bytes, size_t cap)
{
    char text[128];

    if (!error_code_is_inability(error_code_of(error, len)) || !adopt_again(client, kept))
        return 0;
    const struct adoption *adoption = client->worker->limiter->adopted.adoption;
    snprintf(text, sizeof(text), "%.*s", (int)(len > 3 ? len - 3 : 0), (const char *)error + 1);
    log_write(LOG_WARN, "adopted script failed", LOG_TEXT("rule", adoption->name), LOG_TEXT("error", text));
    return say(client, resp, adoption->allow, bytes, cap);
}

size_t adopt_change(struct client *client, const struct limit_kept *kept, unsigned resp, const uint8_t *reply,
                    size_t len, uint8_t *bytes, size_t cap)
{
    struct reply_writer w = {.bytes = bytes, .cap = cap};

    if (kept->row->id == CMD_SCRIPT_EXISTS)
        return tell_of_scripts(client, kept, reply, len, bytes, cap);
    if (len && reply[0] == '-')
        return answer_failed(client, kept, resp, reply, len, bytes, cap);
    /* After a reload nobody may know what the client expects. */
    if (!adopt_again(client, kept) ||
        !adopt_reply(&client->worker->limiter->adopted.adoption->returns, reply, len, resp, &w))
        reply_error(&w, reply_text_rgunknown);
    return w.len;
}

size_t adopt_answer_late(struct client *client, const struct limit_kept *kept, unsigned resp, uint8_t *bytes,
                         size_t cap)
{
    return adopt_again(client, kept) ? say(client, resp, client->worker->limiter->adopted.adoption->allow, bytes, cap)
                                     : 0;
}

bool adopt_answer_lost(struct client *client, const struct lane *lane, const struct request *request,
                       enum request_loss loss)
{
    const struct limit_kept *kept = STAILQ_FIRST(&client->limit_calls);
    uint8_t bytes[REPLY_MAX];

    if (!kept->adopted || kept->as_is || request->begun || !adopt_again(client, kept))
        return false;
    /* What may have run may hold a place until its lease ends; to deny is right whether it does or not. */
    bool allow = client->worker->limiter->adopted.adoption->allow;
    size_t len = loss == REQUEST_UNSENT || !allow ? say(client, lane->pool->key.resp, allow, bytes, sizeof(bytes)) : 0;
    if (len && !request->muted && !(client->limit_resent && limit_holds_back(client, bytes, len)))
        conn_write(&client->conn, bytes, len);
    return len;
}

enum adopt_fit adopt_explain(FILE *out, struct client *client, const struct command *row, const uint8_t *bytes,
                             size_t len)
{
    const struct adopt_room *room = &client->worker->limiter->adopted;
    enum adopt_fit fit = read_call(client, row, bytes, len);

    if (fit == ADOPT_NONE)
        return fit;
    fprintf(out, "rule:%s, key:%s, %s\r\n", room->adoption->name, room->adoption->pattern, room->adoption->text);
    if (fit == ADOPT_MISFIT)
        fprintf(out, "why:it is a mistake: %s\r\nsent:not at all\r\n", room->error);
    else
        fprintf(out, "why:a script that is a limit: %s is sent in its place\r\n", room->adoption->row->name);
    return fit;
}
