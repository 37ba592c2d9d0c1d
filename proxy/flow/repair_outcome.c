#include <stdio.h>

#include "limiter/repair_call.h"
#include "protocol/reply.h"
#include "proxy/flow/client.h"
#include "proxy/flow/error_code.h"
#include "proxy/flow/limit.h"
#include "proxy/flow/limit_kept.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/repair.h"
#include "proxy/flow/repair_book.h"
#include "proxy/flow/repairer.h"
#include "proxy/net/log.h"
#include "proxy/watch/meter.h"

/* Reads the command anew; after a reload its rule may be another one, or none. */
static bool read_kept(struct client *client, const struct limit_kept *kept)
{
    struct repairer *repairer = client->worker->repairer;

    return repairer_read(repairer, kept->row, kept->bytes, kept->len) &&
           (kept->as_is || (repairer->command.rule->mode == REPAIR_ENFORCE && repair_has_script(&repairer->command) &&
                            !repair_too_many(&repairer->command)));
}

void repair_told(struct client *client, struct limit_kept *kept, const uint8_t *bytes, size_t len)
{
    struct repairer *repairer = client->worker->repairer;
    struct repair_client who = {.owner = kept->terms.owner, .looks = kept->terms.free_only};

    if (!read_kept(client, kept))
        return;
    kept->has_place = !kept->as_is && repair_has_place(&repairer->command, &kept->terms, bytes, len);
    repair_book_reply(repairer_book(repairer), &repairer->command, &who, kept->as_is ? NULL : &kept->terms, bytes, len,
                      kept->sent_us, clock_now_us());
}

/* --- who leaves between check and act --- */

void repair_keep_promise(struct client *client, struct limit_kept *kept)
{
    if (client->promise)
        limit_kept_give(client->worker->limiter, client->promise);
    client->promise = kept;
}

/* The newest check that has a place, or may get one. */
static const struct limit_kept *last_check(struct client *client)
{
    struct repairer *repairer = client->worker->repairer;
    const struct limit_kept *kept, *last = NULL;

    STAILQ_FOREACH(kept, &client->limit_calls, link)
    if (kept->repairs && !kept->as_is && kept->terms.hold_us > 0)
        last = kept;
    if (!last && client->promise && clock_now_us() < client->promise->sent_us + client->promise->terms.hold_us)
        last = client->promise;
    return last && read_kept(client, last) && repairer->command.step == REPAIR_CHECK ? last : NULL;
}

void repair_left(struct client *client)
{
    struct repairer *repairer = client->worker->repairer;
    struct limiter *limiter = client->worker->limiter;
    struct lane *lane = client->pin ? client->pin : client->lane; /* that of the check, so it runs behind it */
    const struct limit_kept *last = last_check(client);

    if (!last || !lane || lane->state != LANE_READY)
        return;
    int64_t left_us = repair_book_left_us(repairer_book(repairer), repairer->command.rule->index);

    if (left_us >= last->terms.hold_us)
        return;
    repair_call_leave(&limiter->call, &repairer->command.args[1], last->terms.owner, left_us);
    size_t len = limiter_encode(limiter, lane->pool->key.backend, LIMIT_EVAL, LIMIT_NEVER_US);

    lane_send_silent(lane, limiter->out, len);
    if (lane->pool->key.backend->metered)
        counter_add(&lane->pool->meter->billed, 1);
}

bool repair_again(struct client *client, const struct limit_kept *kept)
{
    struct limiter *limiter = client->worker->limiter;

    limiter->error = reply_text_rgunavail;
    if (!read_kept(client, kept))
        return false;
    limiter->rule = NULL;
    repair_call(&limiter->call, &client->worker->repairer->command, &kept->terms);
    return true;
}

/* Who acts was let in when it checked, and goes on whatever it is told: what it does is better recorded late than not.
 */
int64_t repair_deadline_us(const struct client *client, const struct backend *backend)
{
    bool checks = client->worker->repairer->command.step == REPAIR_CHECK;

    return checks ? limiter_deadline_us(client->worker->limiter, backend) : LIMIT_NEVER_US;
}

/* By on_backend_down; false where no reply of the command's type could say it. */
static bool answer(struct client *client, struct reply_writer *w, unsigned resp)
{
    const struct repairer *repairer = client->worker->repairer;
    const struct repair_rule *rule = repairer->command.rule;

    repair_down(w, &repairer->command, rule->allow, repair_book_refused(repairer_book(repairer), rule->index), resp);
    if (w->bytes[0] == '-')
        return false;
    count(client->worker, repairs_down);
    limit_note_repair_down(client->worker, rule);
    return true;
}

size_t repair_answer_late(struct client *client, const struct limit_kept *kept, unsigned resp, uint8_t *bytes,
                          size_t cap)
{
    struct reply_writer w = {.bytes = bytes, .cap = cap};

    return !kept->as_is && read_kept(client, kept) && answer(client, &w, resp) ? w.len : 0;
}

/*
 * What may have run is said to be unknown, but for denials, and for what comes before a decision: there many a client
 * takes an error for leave to go on.
 */
static bool may_be_told(const struct repair_command *command, enum request_loss loss)
{
    return loss == REQUEST_UNSENT || command->step == REPAIR_CHECK || command->step == REPAIR_PURGE ||
           (command->step == REPAIR_COUNT && command->rule->max && !command->rule->allow);
}

size_t repair_answer_failed(struct client *client, const struct limit_kept *kept, unsigned resp, const uint8_t *error,
                            size_t len, uint8_t *bytes, size_t cap)
{
    struct reply_writer w = {.bytes = bytes, .cap = cap};
    char text[128];

    if (!error_code_is_inability(error_code_of(error, len)) || !read_kept(client, kept))
        return 0;
    const struct repair_command *command = &client->worker->repairer->command;
    if (command->rule->mode == REPAIR_OBSERVE || !may_be_told(command, REQUEST_UNKNOWN) || !answer(client, &w, resp))
        return 0;
    snprintf(text, sizeof(text), "%.*s", (int)(len > 3 ? len - 3 : 0), (const char *)error + 1);
    log_write(LOG_WARN, "repaired command failed", LOG_TEXT("rule", command->rule->name), LOG_TEXT("error", text));
    return w.len;
}

bool repair_answer_lost(struct client *client, const struct lane *lane, const struct request *request,
                        enum request_loss loss)
{
    const struct limit_kept *kept = STAILQ_FIRST(&client->limit_calls);
    uint8_t bytes[256];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof(bytes)};

    if (!kept->repairs || request->begun || !read_kept(client, kept))
        return false;
    const struct repair_command *command = &client->worker->repairer->command;
    if (command->rule->mode == REPAIR_OBSERVE || !may_be_told(command, loss) ||
        !answer(client, &w, lane->pool->key.resp))
        return false;
    if (!request->muted && !(client->limit_resent && limit_holds_back(client, bytes, w.len)))
        conn_write(&client->conn, bytes, w.len);
    return true;
}
