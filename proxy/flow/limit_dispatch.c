#include "proxy/flow/limit.h"
#include "proxy/flow/limit_book.h"

#include "limiter/deny_cache.h"
#include "limiter/limit_facts.h"
#include "protocol/reply.h"
#include "proxy/flow/client.h"
#include "proxy/flow/limit_kept.h"
#include "proxy/flow/limit_notes.h"
#include "proxy/flow/limiter.h"
#include "proxy/health/snapshot.h"
#include "proxy/net/log.h"
#include "proxy/net/loop.h"

enum {
    REPLY_MAX = 256 * (LIMIT_MULTI_MAX + 1),
    FEW_ARGS = 8,    /* of a large command: so few are one key and its value, not many keys */
    RETRY_MS = 1000, /* a backend that comes back is noticed within about so long */
};

/* A mistake of the client's; in a transaction EXEC must fail, as it does for a server's own commands. */
static size_t answer_mistake(struct client *client, const struct call *call)
{
    if (!client_drained(client))
        return 0;
    client->session.tx_poisoned |= client->session.tx_open;
    client_answer_error(client, client->worker->limiter->error, &client->worker->counters.replied);
    return call->len;
}

/* --- without a backend --- */

void limit_log_down(struct limiter *limiter, const char *rule, enum rule_on_down policy)
{
    static const char *const policies[] = {"deny", "allow", "local"};
    uint64_t epoch = limiter->worker->snapshot->epoch + 1;

    if (limiter->down_logged == epoch)
        return;
    limiter->down_logged = epoch;
    log_write(LOG_WARN, "limiter answers without a backend", LOG_TEXT("rule", rule),
              LOG_TEXT("on_backend_down", policies[policy]));
}

/* Counts it here. False when that is impossible for this command. */
static bool count_locally(struct limiter *limiter, const struct down_call *down, struct reply_writer *w)
{
    struct local_limit *local = limiter_local(limiter);
    int64_t fields[LIMIT_FIELDS], throttle[THROTTLE_FIELDS];
    struct local_call local_call;

    if (!local || !limit_facts_local(&limiter->call, &local_call))
        return false;
    local_call.share_percent = limiter_local_share(limiter);
    local_limit_call(local, &local_call, clock_now_us(), fields);
    if (down->kind == DOWN_THROTTLE) {
        limit_reply_to_throttle(fields, throttle);
        limit_reply_put(w, throttle, THROTTLE_FIELDS);
    } else {
        limit_reply_put(w, fields, LIMIT_FIELDS);
    }
    return true;
}

/* Writes the answer and gives it, as a rule in shadow mode would have it. */
static void answer(struct client *client, const struct reply_writer *w)
{
    const struct limiter *limiter = client->worker->limiter;
    uint8_t changed[512];
    size_t len = limiter->rule && limiter->rule->shadow ? limit_shadow(w->bytes, w->len, changed, sizeof(changed)) : 0;

    client->has_worked = true;
    client_answer(client, len ? &(struct reply_writer){.bytes = changed, .len = len} : w,
                  &client->worker->counters.replied);
}

size_t limit_answer_down(struct client *client, const struct call *call)
{
    struct limiter *limiter = client->worker->limiter;
    enum rule_on_down policy = limiter_on_down(limiter);
    struct down_call downs[LIMIT_MULTI_MAX];
    uint8_t bytes[REPLY_MAX];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof(bytes)};
    bool multi;

    if (!client_drained(client))
        return 0;
    size_t n = limit_facts_down(&limiter->call, downs, &multi);
    if (downs[0].kind == DOWN_ERROR) {
        client_answer_error(client, reply_text_rgunavail, &client->worker->counters.unavailable);
        return call->len;
    }
    limit_log_down(limiter, limiter->rule ? limiter->rule->name : "none", policy);
    if (!client->wait) /* else it was counted when it began to wait */
        count(client->worker, limits);
    count(client->worker, limits_down);
    if (multi)
        down_reply_multi(&w, downs, n, policy == RULE_DOWN_ALLOW, RETRY_MS);
    else if (policy != RULE_DOWN_LOCAL || !count_locally(limiter, &downs[0], &w))
        down_reply(&w, &downs[0], policy == RULE_DOWN_ALLOW, RETRY_MS);
    limit_note_down(limiter, w.bytes, w.len);
    limit_wait_was_noted(client);
    answer(client, &w);
    return call->len;
}

size_t limit_dispatch_down(struct client *client, const struct call *call)
{
    if (limit_wait_is_over(client))
        return limit_wait_dispatch(client, NULL, call);
    if (!limiter_parse(client->worker->limiter, call->row, call->bytes, call->len))
        return answer_mistake(client, call);
    return limit_answer_down(client, call);
}

/*
 * A call is made for one backend, its clock and its dialect, so it does not queue on a lane that is not open: it waits
 * here until that is so, or the time is over.
 */
bool limit_waits_in_vain(struct client *client, struct lane *lane)
{
    const struct worker *worker = client->worker;
    const struct pool *pool = client->pool;
    uint64_t now_ms = loop_now_ms(&client->worker->loop);
    bool in_vain = pool_is_routed(pool) ? pool->failures > 0 : worker_has_verdict(worker);

    if (!client->waits_since_ms)
        client->waits_since_ms = now_ms;
    if (in_vain && now_ms - client->waits_since_ms >= worker->settings->queue_timeout_ms)
        return true;
    client_wait_for_lane(client, lane);
    worker_want_tick(client->worker);
    return false;
}

/* --- denials that still hold --- */

static bool deny_call(struct limiter *limiter, const struct client *client, struct deny_call *deny)
{
    if (!limiter_may_cache(limiter) || !limit_facts_deny(&limiter->call, deny))
        return false;
    deny->epoch = limiter_deny_epoch(limiter->epoch, client->pool);
    return true;
}

/* True when it is answered, or waits to be. */
static bool answer_again(struct client *client, const struct call *call, const struct deny_call *deny, size_t *used)
{
    struct deny_cache *denials = limiter_denials(client->worker->limiter);
    uint8_t bytes[512];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof(bytes)};
    int64_t fields[LIMIT_FIELDS];
    size_t n = deny_cache_find(denials, deny, clock_now_us(), fields);

    *used = 0;
    if (!n)
        return false;
    if (!client_drained(client))
        return true;
    limit_reply_put(&w, fields, (unsigned)n);
    count(client->worker, limits);
    count(client->worker, limits_cached);
    limit_note_cached(client->worker->limiter);
    answer(client, &w);
    *used = call->len;
    return true;
}

static bool is_script(const struct command *row)
{
    return row->id == CMD_EVAL || row->id == CMD_EVALSHA || row->id == CMD_FCALL;
}

/* A script that is told no key may find any; one that is told some must leave the others alone, by Redis's own rule. */
static bool is_told_no_key(const struct call *call)
{
    const uint8_t *count;
    size_t len;

    return is_script(call->row) && call_arg(call, 2, &count, &len) && len == 1 && *count == '0';
}

/* Commands that name no key and may change them all. */
static bool clears(const struct call *call)
{
    if (is_told_no_key(call))
        return true;
    return call->row->flags & COMMAND_WRITE &&
           (call->argc == 1 || reply_starts_with((const uint8_t *)call->row->name, call->row->name_len, "FLUSH") ||
            reply_starts_with((const uint8_t *)call->row->name, call->row->name_len, "SWAPDB"));
}

static bool may_write(const struct command *row)
{
    return row->flags & (COMMAND_WRITE | COMMAND_MAY_REPLICATE) || is_script(row) || row->id == CMD_UNKNOWN;
}

/* Walks over the arguments of commands that write, so only while denials are kept. */
bool limit_is_lowered_by(const struct client *client, const struct call *call)
{
    const struct limiter *limiter = client->worker->limiter;
    const struct command *row = call->row;
    const uint8_t *arg;
    size_t len;

    if (!limiter->denials || row->cls == COMMAND_LIMIT)
        return false;
    if (clears(call))
        return true;
    if (!may_write(row))
        return false;
    for (uint32_t i = 1; call_arg(call, i, &arg, &len); i++) {
        if (rule_table_may_own(client->worker->settings->rules, arg, len))
            return true;
    }
    return false;
}

bool limit_may_be_lowered_by(const struct client *client, const struct call *call)
{
    const struct worker *worker = client->worker;

    if (!worker->limiter->denials || !may_write(call->row))
        return false;
    return is_script(call->row) || call->row->id == CMD_UNKNOWN || call->argc > FEW_ARGS ||
           (call->sub && rule_table_may_own(worker->settings->rules, call->sub, call->sub_len));
}

/* --- with one --- */

static bool lowers(const struct limiter *limiter)
{
    const struct limit_call *call = &limiter->call;

    /* Of windows that the cache is told of, it keeps the length in mind itself. */
    bool slides = !limiter_may_cache(limiter) && limit_facts_slides(call);

    if (!limiter->denials || !(slides || limit_facts_lowers(call)))
        return false;
    for (uint32_t i = 0; i < call->key_count; i++) {
        if (rule_table_may_own(limiter->worker->settings->rules, call->keys[i].bytes, call->keys[i].len))
            return true;
    }
    return false;
}

static size_t encode_for_later(struct limiter *limiter, const struct lane *lane)
{
    return limiter_encode(limiter, lane->pool->key.backend, LIMIT_EVAL, LIMIT_NEVER_US);
}

size_t limit_encode_in_tunnel(struct client *client, const struct call *call, bool *is_lowering)
{
    struct limiter *limiter = client->worker->limiter;

    if (call->row->cls != COMMAND_LIMIT || !limiter_parse(limiter, call->row, call->bytes, call->len))
        return 0;
    *is_lowering |= lowers(limiter);
    count(client->worker, limits);
    limit_note_queued(limiter);
    if (limiter->call.script == SCRIPT_increx && limiter->increx == INCREX_NATIVE)
        return 0;
    return encode_for_later(limiter, client->pin);
}

static size_t send_native(struct client *client, struct lane *lane, const struct call *call)
{
    count(client->worker, limits);
    if (client->session.tx_open) {
        client->session.tx_lowers |= lowers(client->worker->limiter);
        limit_note_queued(client->worker->limiter);
        client_send(client, lane, REQUEST_PLAIN, call->bytes, call->len);
        return call->len;
    }
    struct limit_kept *kept = limit_kept_new(client->worker->limiter, call->bytes, call->len);
    kept->row = call->row;
    kept->script = SCRIPT_increx;
    kept->note = limit_note_of_call(client->worker->limiter);
    kept->native = true;
    kept->lowers = lowers(client->worker->limiter);
    if (kept->lowers)
        limiter_note_lowered(client->worker->limiter);
    STAILQ_INSERT_TAIL(&client->limit_calls, kept, link);
    client_send(client, lane, REQUEST_LIMIT, call->bytes, call->len);
    return call->len;
}

void limit_queue(struct client *client, struct lane *lane)
{
    struct limiter *limiter = client->worker->limiter;
    size_t len = encode_for_later(limiter, lane);

    client->session.tx_lowers |= lowers(limiter);
    count(client->worker, limits);
    limit_note_queued(limiter);
    client_send(client, lane, REQUEST_PLAIN, limiter->out, len);
}

struct limit_kept *limit_send(struct client *client, struct lane *lane, const struct call *call)
{
    struct limiter *limiter = client->worker->limiter;
    struct backend *backend = lane->pool->key.backend;
    struct limit_kept *kept = limit_kept_new(limiter, call->bytes, call->len);
    size_t len;

    kept->row = call->row;
    kept->shape = (uint8_t)limiter->call.shape;
    kept->script = (uint8_t)limiter->call.script;
    kept->note = limit_note_of_call(limiter);
    kept->lowers = lowers(limiter);
    kept->shadow = limiter->rule && limiter->rule->shadow;
    kept->epoch = limiter->epoch;
    STAILQ_INSERT_TAIL(&client->limit_calls, kept, link);
    if (kept->lowers)
        limiter_note_lowered(limiter);
    count(client->worker, limits);
    len = limiter_encode(limiter, backend, limiter_form(limiter), limiter_deadline_us(limiter, backend));
    client_send(client, lane, REQUEST_LIMIT, limiter->out, len);
    return kept;
}

struct limit_kept *limit_send_as_it_is(struct client *client, struct lane *lane, const struct call *call)
{
    struct limit_kept *kept = limit_kept_new(client->worker->limiter, call->bytes, call->len);

    kept->row = call->row;
    kept->as_is = true;
    kept->note.meter = limit_book_meter(client->worker->settings->limit_book, NULL, client->worker->index);
    STAILQ_INSERT_TAIL(&client->limit_calls, kept, link);
    client_send(client, lane, REQUEST_LIMIT, call->bytes, call->len);
    return kept;
}

/* A denial is kept for as long as it holds from before it was sent. */
static void send_to_learn(struct client *client, struct lane *lane, const struct call *call)
{
    int64_t sent_us = clock_now_us();
    struct limit_kept *kept = limit_send(client, lane, call);

    kept->learns = true;
    kept->sent_us = sent_us;
}

size_t limit_dispatch(struct client *client, struct lane *lane, const struct call *call)
{
    struct limiter *limiter = client->worker->limiter;
    struct deny_call deny;
    size_t used;

    if (limit_wait_is_over(client))
        return limit_wait_dispatch(client, lane, call);
    if (lane->state != LANE_READY)
        return limit_waits_in_vain(client, lane) ? limit_dispatch_down(client, call) : 0;
    client->waits_since_ms = 0; /* a call that waits for a place may meet several outages */
    if (!limiter_parse(limiter, call->row, call->bytes, call->len))
        return answer_mistake(client, call);
    if (limiter->call.script == SCRIPT_increx && limiter->increx == INCREX_NATIVE)
        return send_native(client, lane, call);
    if (client->session.tx_open) {
        limit_queue(client, lane);
        return call->len;
    }
    if (limiter->call.script == SCRIPT_increx && limiter->increx == INCREX_UNKNOWN)
        return send_native(client, lane, call);
    if (limiter->call.wait_ms > 0 && !(limiter->rule && limiter->rule->shadow))
        return limit_wait_dispatch(client, lane, call);
    bool cacheable = deny_call(limiter, client, &deny);
    if (cacheable && answer_again(client, call, &deny, &used))
        return used;
    if (cacheable)
        send_to_learn(client, lane, call);
    else
        limit_send(client, lane, call);
    return call->len;
}
