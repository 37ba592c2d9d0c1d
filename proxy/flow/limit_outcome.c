#include <string.h>

#include "limiter/deny_cache.h"
#include "limiter/limit_facts.h"
#include "limiter/limit_reply.h"
#include "limiter/limit_verdict.h"
#include "protocol/reply.h"
#include "proxy/flow/adopt.h"
#include "proxy/flow/client.h"
#include "proxy/flow/limit.h"
#include "proxy/flow/limit_kept.h"
#include "proxy/flow/limit_notes.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/repair.h"
#include "proxy/flow/worker.h"
#include "proxy/net/loop.h"
#include "proxy/watch/meter.h"

enum { CHANGED_MAX = 1024 };

static struct limiter *limiter_of(const struct client *client)
{
    return client->worker->limiter;
}

static struct block_pool *blocks_of(const struct client *client)
{
    return &client->worker->loop.pool;
}

/* --- in order --- */

/* The call behind whose reply the next bytes belong: the last one that was sent again. */
static struct limit_kept *last_resent(const struct client *client)
{
    struct limit_kept *kept, *last = NULL;

    STAILQ_FOREACH(kept, &client->limit_calls, link)
    if (kept->resent)
        last = kept;
    return last;
}

bool limit_holds_back(struct client *client, const uint8_t *bytes, size_t len)
{
    struct limit_kept *kept = client->limit_resent && !client->limit_direct ? last_resent(client) : NULL;

    if (!kept)
        return false;
    buf_append(blocks_of(client), &kept->held, bytes, len);
    return true;
}

static struct limit_kept *take_oldest(struct client *client)
{
    struct limit_kept *kept = STAILQ_FIRST(&client->limit_calls);

    STAILQ_REMOVE_HEAD(&client->limit_calls, link);
    return kept;
}

/* Its reply has gone out: so may those that it held up. */
static void end(struct client *client, struct limit_kept *kept)
{
    if (kept->resent) {
        client->limit_resent--;
        conn_write_buf(&client->conn, &kept->held);
    }
    if (kept->has_place)
        repair_keep_promise(client, kept);
    else
        limit_kept_give(limiter_of(client), kept);
}

/* What became of a repaired command is told by the rule's own figures. */
static void note_failed(const struct limit_kept *kept)
{
    if (!kept->repairs)
        limit_note_failed(&kept->note);
}

void limit_on_lost(struct client *client)
{
    struct limit_kept *kept = STAILQ_FIRST(&client->limit_calls);

    if (!kept)
        return; /* the client is gone */
    client->limit_direct = kept->resent;
    if (kept->lowers)
        limiter_note_lowered(limiter_of(client));
}

void limit_told_lost(struct client *client)
{
    client->limit_direct = false;
    if (STAILQ_EMPTY(&client->limit_calls))
        return;
    note_failed(STAILQ_FIRST(&client->limit_calls));
    end(client, take_oldest(client));
}

void limit_forget(struct client *client)
{
    while (!STAILQ_EMPTY(&client->limit_calls)) {
        struct limit_kept *kept = take_oldest(client);

        client->lowers |= kept->lowers;
        note_failed(kept);
        buf_clear(blocks_of(client), &kept->held);
        limit_kept_give(limiter_of(client), kept);
    }
    client->limit_resent = 0;
    repair_keep_promise(client, NULL);
}

/* --- once more --- */

/* Reads it anew into the limiter's call. */
static bool parse_again(struct client *client, const struct limit_kept *kept)
{
    if (kept->repairs)
        return repair_again(client, kept);
    return kept->adopted ? adopt_again(client, kept)
                         : limiter_parse(limiter_of(client), kept->row, kept->bytes, kept->len);
}

/* Sends the call again, its script with it. False: its rule is not what it was any more, see limiter->error. */
static bool send_again(struct client *client, struct lane *lane, struct limit_kept *kept, const struct request *before)
{
    struct limiter *limiter = limiter_of(client);
    struct backend *backend = lane->pool->key.backend;
    size_t len;

    if (!parse_again(client, kept))
        return false;
    limiter->loaded[limiter->call.script] = true;
    kept->native = false;
    kept->resent = true;
    kept->shape = (uint8_t)limiter->call.shape;
    kept->script = (uint8_t)limiter->call.script;
    kept->shadow = limiter->rule && limiter->rule->shadow;
    len = limiter_encode(limiter, backend, LIMIT_EVAL,
                         kept->repairs ? repair_deadline_us(client, backend) : limiter_deadline_us(limiter, backend));
    STAILQ_INSERT_TAIL(&client->limit_calls, kept, link);
    client->limit_resent++;
    client_send_again(client, lane, before, REQUEST_LIMIT, limiter->out, len);
    count(client->worker, scripts_healed);
    if (backend->metered)
        counter_add(&lane->pool->meter->billed, 1);
    return true;
}

static size_t put_error(const char *text, uint8_t changed[CHANGED_MAX])
{
    struct reply_writer w = {.bytes = changed, .cap = CHANGED_MAX};

    reply_error(&w, text);
    return w.len;
}

/* Whether the reply proves that the call did not run because the backend lacks something. */
static bool can_be_sent_again(struct limiter *limiter, const struct limit_kept *kept, const uint8_t *bytes, size_t len)
{
    if (kept->native) {
        if (len && bytes[0] == '*') /* other errors may come before the command is looked up */
            limiter->increx = INCREX_NATIVE;
        else if (reply_is_unknown_command(bytes, len))
            limiter->increx = INCREX_MISSING;
        return limiter->increx == INCREX_MISSING;
    }
    return !kept->resent && !kept->as_is && reply_starts_with(bytes, len, "-NOSCRIPT ");
}

/* --- what it says --- */

static void learn(struct client *client, const struct limit_kept *kept, const uint8_t *bytes, size_t len)
{
    struct limiter *limiter = limiter_of(client);
    struct deny_cache *denials = limiter_denials(limiter);
    int64_t fields[LIMIT_FIELDS];
    struct deny_call deny;

    if (!denials || !limit_reply_read(bytes, len, fields, LIMIT_FIELDS) ||
        !limiter_parse(limiter, kept->row, kept->bytes, kept->len) || !limit_facts_deny(&limiter->call, &deny))
        return;
    deny.epoch = limiter_deny_epoch(kept->epoch, client->pool);
    deny_cache_learn(denials, &deny, fields, kept->sent_us, clock_now_us());
}

size_t limit_shadow(const uint8_t *bytes, size_t len, uint8_t *reply, size_t cap)
{
    struct reply_writer w = {.bytes = reply, .cap = cap};
    int64_t fields[SEM_FIELDS];

    if (limit_reply_read(bytes, len, fields, LIMIT_FIELDS) && !fields[LIMIT_ALLOWED]) {
        fields[LIMIT_ALLOWED] = 1;
        fields[LIMIT_RETRY_MS] = LIMIT_RETRY_NONE;
        fields[LIMIT_REASON] = REASON_SHADOW;
        limit_reply_put(&w, fields, LIMIT_FIELDS);
    } else if (limit_reply_read(bytes, len, fields, SEM_FIELDS) && !fields[SEM_GRANTED]) {
        fields[SEM_GRANTED] = 1;
        fields[SEM_RETRY_MS] = LIMIT_RETRY_NONE;
        fields[SEM_REASON] = REASON_SHADOW;
        limit_reply_put(&w, fields, SEM_FIELDS);
    }
    return w.len;
}

/* Places that became free may be waited for here. */
static void wake(struct client *client, const struct limit_kept *kept, const uint8_t *bytes, size_t len)
{
    struct limiter *limiter = limiter_of(client);
    bool frees = kept->script == SCRIPT_sem_release || kept->script == SCRIPT_sem_clear;
    int64_t released;

    if (!frees || !limiter->n_waits || len < 4 || bytes[0] != ':' || !number_read(bytes + 1, len - 3, &released))
        return;
    if (parse_again(client, kept))
        limit_wait_wake(limiter, client, released);
}

static void note(struct client *client, struct limit_kept *kept, const uint8_t *bytes, size_t len)
{
    if (kept->repairs)
        repair_told(client, kept, bytes, len);
    else if (kept->as_is)
        limit_note_served(&kept->note);
    else
        limit_note_reply(limiter_of(client), &kept->note, (enum limit_script_id)kept->script, kept->shadow, bytes, len);
    if (kept->learns)
        learn(client, kept, bytes, len);
    if (kept->lowers)
        limiter_note_lowered(limiter_of(client));
    wake(client, kept, bytes, len);
}

/* What the client gets in place of a whole reply; 0: the reply as it is. */
static size_t change(struct client *client, const struct lane *lane, const struct limit_kept *kept,
                     const uint8_t *bytes, size_t len, uint8_t changed[CHANGED_MAX])
{
    struct reply_writer w = {.bytes = changed, .cap = CHANGED_MAX};

    if (kept->adopted)
        w.len = adopt_change(client, kept, lane->pool->key.resp, bytes, len, changed, CHANGED_MAX);
    else if (kept->repairs && len && bytes[0] == '-')
        w.len = repair_answer_failed(client, kept, lane->pool->key.resp, bytes, len, changed, CHANGED_MAX);
    if (w.len || kept->as_is || limit_verdict_room(len) > CHANGED_MAX)
        return w.len;
    switch (limit_verdict((enum limit_shape)kept->shape, lane->pool->key.resp, bytes, len, &w)) {
    case LIMIT_CHANGED:
        return w.len;
    case LIMIT_TOO_LATE:
        count(client->worker, limits_late);
        limit_note_late(&kept->note);
        if (kept->repairs)
            w.len = repair_answer_late(client, kept, lane->pool->key.resp, changed, CHANGED_MAX);
        else if (kept->adopted)
            w.len = adopt_answer_late(client, kept, lane->pool->key.resp, changed, CHANGED_MAX);
        if (w.len)
            return w.len;
        count(client->worker, unavailable);
        client_count_failure(client, REQUEST_CLASS_limiter, ERROR_CODE_RGUNAVAIL, 1);
        client->not_replied = true;
        return 0;
    case LIMIT_NOT_LOADED:
    case LIMIT_PASS:
        break;
    }
    return kept->shadow ? limit_shadow(bytes, len, changed, CHANGED_MAX) : 0;
}

static void give(struct client *client, const struct limit_kept *kept, const uint8_t *bytes, size_t len)
{
    if (kept->resent || !limit_holds_back(client, bytes, len))
        conn_write(&client->conn, bytes, len);
}

bool limit_on_reply(struct client *client, struct lane *lane, struct request *request, const uint8_t *bytes, size_t len,
                    bool last)
{
    struct limit_kept *kept = STAILQ_FIRST(&client->limit_calls);
    uint8_t changed[CHANGED_MAX];
    size_t changed_len = 0;

    if (last) {
        take_oldest(client);
        limit_note_duration(client->worker, &kept->note, request);
    }
    if (last && !request->begun && lane->state == LANE_READY &&
        can_be_sent_again(limiter_of(client), kept, bytes, len)) {
        if (send_again(client, lane, kept, request))
            return true;
        note_failed(kept);
        changed_len = put_error(limiter_of(client)->error, changed);
    } else if (last && !request->begun) {
        note(client, kept, bytes, len);
        changed_len = change(client, lane, kept, bytes, len, changed);
    } else if (last && !kept->repairs) {
        limit_note_served(&kept->note);
    }
    if (!request->muted)
        give(client, kept, changed_len ? changed : bytes, changed_len ? changed_len : len);
    if (last)
        end(client, kept);
    return true;
}
