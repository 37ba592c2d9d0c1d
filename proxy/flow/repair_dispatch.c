#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "limiter/companion.h"
#include "limiter/repair_call.h"
#include "protocol/reply.h"
#include "proxy/flow/client.h"
#include "proxy/flow/limit.h"
#include "proxy/flow/limit_kept.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/repair.h"
#include "proxy/flow/repair_book.h"
#include "proxy/flow/repairer.h"
#include "proxy/health/snapshot.h"
#include "proxy/net/log.h"

enum { COMPANION_BULK_MAX = 2 * COMPANION_PREFIX_MAX };

static struct repairer *repairer_of(const struct client *client)
{
    return client->worker->repairer;
}

static int64_t wall_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool is_enforced(const struct repair_command *command)
{
    return command->rule->mode == REPAIR_ENFORCE && repair_has_script(command);
}

static bool is_monitor(const struct client *client, const struct repair_rule *rule)
{
    const struct client_names *names = client->names;

    return names && ((names->name && repair_rule_is_monitor(rule, names->name)) ||
                     (names->user && repair_rule_is_monitor(rule, names->user)));
}

/* Of the command that was read last. */
static struct repair_client asker(const struct client *client)
{
    return (struct repair_client){
        .owner = repair_owner(repairer_of(client)->seed, client->id),
        .looks = (client->session.watching && client->session.watches_held) ||
                 is_monitor(client, repairer_of(client)->command.rule),
    };
}

bool repair_is_enforced(const struct client *client, const struct command *row, const uint8_t *key, size_t len)
{
    const struct settings *settings = client->worker->settings;

    if (!key)
        return settings->enforces && settings->repaired[row->index];
    if (!settings_may_repair(settings, row, key, len))
        return false;
    const struct repair_rule *rule = repair_rule_of(settings->repairs, row, key, len);
    return rule && rule->mode == REPAIR_ENFORCE;
}

/* --- without a backend --- */

static void log_down(struct repairer *repairer, const struct repair_rule *rule)
{
    uint64_t epoch = repairer->worker->snapshot->epoch + 1;

    if (repairer->down_logged == epoch)
        return;
    repairer->down_logged = epoch;
    log_write(LOG_WARN, "repair answers without a backend", LOG_TEXT("rule", rule->name),
              LOG_TEXT("on_backend_down", rule->allow ? "allow" : "deny"));
}

/* The command that was read last. */
static size_t answer_down(struct client *client, const struct call *call)
{
    struct repairer *repairer = repairer_of(client);
    const struct repair_rule *rule = repairer->command.rule;
    uint8_t bytes[256] = {0};
    struct reply_writer w = {.bytes = bytes, .cap = sizeof(bytes)};

    if (!client_drained(client))
        return 0;
    log_down(repairer, rule);
    count(client->worker, repairs);
    count(client->worker, repairs_down);
    limit_note_repair_down(client->worker, rule);
    repair_down(&w, &repairer->command, rule->allow, repair_book_refused(repairer_book(repairer), rule->index),
                client->pool->key.resp);
    client_answer(client, &w,
                  bytes[0] == '-' ? &client->worker->counters.unavailable : &client->worker->counters.replied);
    return call->len;
}

bool repair_dispatch_down(struct client *client, const struct call *call, size_t *used)
{
    struct repairer *repairer = repairer_of(client);

    if (!repairer_read(repairer, call->row, call->bytes, call->len) || repairer->command.rule->mode != REPAIR_ENFORCE)
        return false;
    *used = answer_down(client, call);
    return true;
}

/* --- with one --- */

/* In a transaction EXEC must fail, as it does for a server's own refusals. */
static size_t refuse_too_many(struct client *client, const struct call *call)
{
    if (!client_drained(client))
        return 0;
    client->session.tx_poisoned |= client->session.tx_open;
    client_answer_error(client, reply_text_rglimit_command, &client->worker->counters.limited);
    return call->len;
}

/* Makes the limiter's call of the command that was read last. */
static void make_call(struct client *client, bool plain, struct repair_terms *terms)
{
    struct repairer *repairer = repairer_of(client);
    struct repair_client who = asker(client);

    repair_book_terms(repairer_book(repairer), &repairer->command, &who, client->pool->key.resp, clock_now_us(), terms);
    terms->plain = plain;
    repair_call(&client->worker->limiter->call, &repairer->command, terms);
    count(client->worker, repairs);
}

static size_t encode_for_later(struct client *client, const struct lane *lane)
{
    struct repair_terms terms;

    make_call(client, true, &terms);
    return limiter_encode(client->worker->limiter, lane->pool->key.backend, LIMIT_EVAL, LIMIT_NEVER_US);
}

size_t repair_encode_in_tunnel(struct client *client, const struct call *call)
{
    struct repairer *repairer = repairer_of(client);

    if (!repairer_read(repairer, call->row, call->bytes, call->len) || !is_enforced(&repairer->command) ||
        repair_too_many(&repairer->command))
        return 0;
    return encode_for_later(client, client->pin);
}

static struct limit_kept *keep(struct client *client, const struct call *call)
{
    struct limiter *limiter = client->worker->limiter;
    struct limit_kept *kept = limit_kept_new(limiter, call->bytes, call->len);

    kept->row = call->row;
    kept->repairs = true;
    kept->note = limit_note_of_repair(client->worker, repairer_of(client)->command.rule);
    kept->sent_us = clock_now_us();
    kept->lowers = limiter->denials && limit_is_lowered_by(client, call);
    if (kept->lowers)
        limiter_note_lowered(limiter);
    STAILQ_INSERT_TAIL(&client->limit_calls, kept, link);
    return kept;
}

static void send_observed(struct client *client, struct lane *lane, const struct call *call)
{
    struct limit_kept *kept = keep(client, call);
    struct repair_client who = asker(client);

    kept->as_is = true;
    kept->terms.owner = who.owner;
    kept->terms.free_only = who.looks;
    client_send(client, lane, REQUEST_LIMIT, call->bytes, call->len);
}

/*
 * A script that the backend has forgotten runs behind what was sent after it (limit_kept.h). What follows in one piece
 * may build on it (ZADD, EXPIRE), so it goes as text then, which is never forgotten.
 */
static enum limit_form form_of(struct limiter *limiter, const struct call *call)
{
    return call->available > call->len ? LIMIT_EVAL : limiter_form(limiter);
}

static void send_call(struct client *client, struct lane *lane, const struct call *call)
{
    struct limiter *limiter = client->worker->limiter;
    struct backend *backend = lane->pool->key.backend;
    struct limit_kept *kept = keep(client, call);

    make_call(client, false, &kept->terms);
    if (repairer_of(client)->command.step == REPAIR_ACT)
        repair_keep_promise(client, NULL);
    kept->shape = (uint8_t)limiter->call.shape;
    kept->script = (uint8_t)limiter->call.script;
    size_t len = limiter_encode(limiter, backend, form_of(limiter, call), repair_deadline_us(client, backend));
    client_send(client, lane, REQUEST_LIMIT, limiter->out, len);
}

static void queue(struct client *client, struct lane *lane, const struct call *call)
{
    size_t len = encode_for_later(client, lane);

    client->session.tx_lowers |= limit_is_lowered_by(client, call);
    client_send(client, lane, REQUEST_PLAIN, client->worker->limiter->out, len);
}

bool repair_dispatch(struct client *client, struct lane *lane, const struct call *call, size_t *used)
{
    struct repairer *repairer = repairer_of(client);
    const struct repair_command *command = &repairer->command;
    bool refused_there = session_subscriptions(&client->session) && client->pool->key.resp == 2;

    /* Most keys are nobody's, which their beginning shows: no more is read of those. */
    if (!call->sub || !repair_rule_of(client->worker->settings->repairs, call->row, call->sub, call->sub_len))
        return false;
    if (refused_there || !repairer_read(repairer, call->row, call->bytes, call->len))
        return false;
    bool enforced = is_enforced(command);
    *used = 0;
    if (enforced && repair_too_many(command)) {
        *used = refuse_too_many(client, call);
        return true;
    }
    if (enforced && lane->state != LANE_READY) {
        if (limit_waits_in_vain(client, lane))
            *used = answer_down(client, call);
        return true;
    }
    repair_book_sent(repairer_book(repairer), command, wall_us());
    if (client->session.tx_open && !enforced)
        return false;
    if (command->step == REPAIR_PURGE && command->rule->mode == REPAIR_OBSERVE)
        return false;
    if (client->session.tx_open)
        queue(client, lane, call);
    else if (enforced)
        send_call(client, lane, call);
    else
        send_observed(client, lane, call);
    *used = call->len;
    return true;
}

/* --- WATCH --- */

static bool has_reservations(const struct client *client, const uint8_t *key, size_t len)
{
    enum { CHECKED = REPAIR_ZSET | REPAIR_SET | REPAIR_LIST | REPAIR_COUNTER };
    const struct repair_rule *rule = repair_table_find(client->worker->settings->repairs, CHECKED, key, len);

    return rule && rule->mode == REPAIR_ENFORCE;
}

/* Writes the name of a key's reservations as one more argument. */
static size_t put_held(uint8_t *out, const uint8_t *key, size_t len)
{
    char prefix[COMPANION_PREFIX_MAX];
    size_t prefix_len = companion_prefix(prefix, COMPANION_HELD, companion_slot(key, len), len);
    size_t n = (size_t)sprintf((char *)out, "$%zu\r\n%.*s", prefix_len + len, (int)prefix_len, prefix);

    memcpy(out + n, key, len);
    memcpy(out + n + len, "\r\n", 2);
    return n + len + 2;
}

size_t repair_send_watch(struct client *client, const struct call *call)
{
    const uint8_t *header_end = memchr(call->bytes, '\n', call->len), *key;
    size_t len, more = 0, more_len = 0, room = 2 * call->len + (size_t)call->argc * COMPANION_BULK_MAX;
    uint8_t *added = repair_table_count(client->worker->settings->repairs) ? malloc(room) : NULL, *whole = NULL;

    for (uint32_t i = 1; added && call_arg(call, i, &key, &len); i++) {
        if (!has_reservations(client, key, len))
            continue;
        more_len += put_held(added + more_len, key, len);
        more++;
    }
    client->session.watches_held = (client->session.watching && client->session.watches_held) || more;
    whole = more ? malloc(room + call->len) : NULL;
    if (whole) {
        size_t rest = call->len - (size_t)(header_end + 1 - call->bytes);
        size_t n = (size_t)sprintf((char *)whole, "*%zu\r\n", call->argc + more);

        memcpy(whole + n, header_end + 1, rest);
        memcpy(whole + n + rest, added, more_len);
        client_send(client, client->pin, REQUEST_WATCH, whole, n + rest + more_len);
    } else {
        client_send(client, client->pin, REQUEST_WATCH, call->bytes, call->len);
    }
    client_shut(client, GATE_DRAIN);
    free(added);
    free(whole);
    return call->len;
}
