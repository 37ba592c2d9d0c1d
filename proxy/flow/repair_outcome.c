#include <stdio.h>

#include "limiter/repair_call.h"
#include "protocol/reply.h"
#include "proxy/flow/client.h"
#include "proxy/flow/limit.h"
#include "proxy/flow/limit_kept.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/repair.h"
#include "proxy/flow/repairer.h"
#include "proxy/net/log.h"

/* Reads the command anew; after a reload its rule may be another one, or none. */
static bool read_kept(struct client *client, const struct limit_kept *kept)
{
    struct repairer *repairer = client->worker->repairer;

    return repairer_read(repairer, kept->row, kept->bytes, kept->len) &&
           (kept->as_is || (repairer->command.rule->mode == REPAIR_ENFORCE && repairer->command.step <= REPAIR_COUNT &&
                            !repair_too_many(&repairer->command)));
}

void repair_told(struct client *client, const struct limit_kept *kept, const uint8_t *bytes, size_t len)
{
    struct repairer *repairer = client->worker->repairer;
    struct repair_client who = {.owner = kept->terms.owner, .looks = kept->terms.free_only};

    if (read_kept(client, kept))
        repair_watch_reply(repairer->watch, &repairer->command, &who, kept->as_is ? NULL : &kept->terms, bytes, len,
                           kept->sent_us, clock_now_us());
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

/* By on_backend_down; false where no reply of the command's type could say it. */
static bool answer(struct client *client, struct reply_writer *w, unsigned resp)
{
    const struct repairer *repairer = client->worker->repairer;
    const struct repair_rule *rule = repairer->command.rule;

    repair_down(w, &repairer->command, rule->allow,
                repair_learn_refused(repair_watch_learn(repairer->watch, rule->index)), resp);
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

/* Errors that say nothing of the command, but that the backend, or the user, is not able to run it. */
static bool says_that_it_cannot(const uint8_t *error, size_t len)
{
    static const char *const codes[] = {"-OOM ",        "-READONLY ",   "-LOADING ",     "-MISCONF ", "-BUSY ",
                                        "-MASTERDOWN ", "-NOREPLICAS ", "-CLUSTERDOWN ", "-NOPERM "};

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (reply_starts_with(error, len, codes[i]))
            return true;
    return false;
}

size_t repair_answer_failed(struct client *client, const struct limit_kept *kept, unsigned resp, const uint8_t *error,
                            size_t len, uint8_t *bytes, size_t cap)
{
    struct reply_writer w = {.bytes = bytes, .cap = cap};
    char text[128];

    if (!says_that_it_cannot(error, len) || !read_kept(client, kept))
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
