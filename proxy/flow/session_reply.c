/* What a reply means for the session of the client that gets it. */
#include <string.h>

#include "proxy/flow/client.h"
#include "proxy/flow/command_info.h"
#include "proxy/flow/limit.h"
#include "proxy/flow/limiter.h"
#include "proxy/flow/script_cache.h"

static void end_tx(struct client *client)
{
    client->session.tx_open = client->session.tx_foreign = client->session.tx_poisoned = false;
    client->session.tx_adopts = client->session.tx_lowers = false;
    client->session.watching = false;
}

static void note_count(struct session *session, struct pubsub_element element, uint64_t total)
{
    uint32_t *names = element.family == PUBSUB_PATTERN ? &session->patterns : &session->channels;

    if (element.family == PUBSUB_SHARD) {
        session->shards = (uint32_t)total;
        return;
    }
    /* The number counts channels and patterns together; what it moved by is of the confirmed kind. */
    if (total > session->pubsub_total)
        *names += (uint32_t)(total - session->pubsub_total);
    else if (total < session->pubsub_total)
        *names -= (uint32_t)(session->pubsub_total - total);
    session->pubsub_total = (uint32_t)total;
}

static void on_confirmation(struct client *client, struct lane *lane, const struct request *request,
                            const uint8_t *bytes, size_t len, bool last)
{
    struct session *session = &client->session;
    struct pubsub_element element = {0};
    uint64_t total;

    if (request->type != '-') {
        if (request->muted)
            conn_write(&client->conn, bytes, len); /* CLIENT REPLY does not silence confirmations */
        if (!request->begun)
            session->confirming = (uint8_t)(pubsub_classify(bytes, len).kind | pubsub_classify(bytes, len).family << 4);
        if (!last)
            return;
        element.kind = (enum pubsub_kind)(session->confirming & 15);
        element.family = (enum pubsub_family)(session->confirming >> 4);
        if (pubsub_count(bytes, len, &total))
            note_count(session, element, total);
        else
            session->stuck = true; /* cut in two by its length: stay on the safe side */
    }
    if (last && !request->replies)
        lane->subscriber = pin_has_messages(client) && (session_subscriptions(session) || session->stuck);
}

static void answer_abort(struct client *client, const struct request *request)
{
    uint8_t bytes[128];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof(bytes)};

    reply_error(&w, reply_text_execabort);
    if (!request->muted)
        conn_write(&client->conn, bytes, w.len);
}

/*
 * A lane on which EXEC failed in an unexpected way may still be in the transaction: nobody else may go on with it. A
 * shared one ends when its queue has run dry, which is not before this reply is passed on.
 */
static void check_burst(struct client *client, struct lane *lane, const struct request *request, const uint8_t *bytes,
                        size_t len)
{
    if (request->type != '-' || request->begun || reply_starts_with(bytes, len, "-EXECABORT") ||
        reply_starts_with(bytes, len, "-ERR EXEC without MULTI"))
        return;
    lane->clean = false;
    if (lane == client->pin)
        client->session.stuck = true;
    else
        pool_divert(lane->pool, lane);
}

bool session_on_reply(struct client *client, struct lane *lane, struct request *request, const uint8_t *bytes,
                      size_t len, bool last)
{
    struct session *session = &client->session;
    bool failed = request->type == '-';

    switch ((enum request_kind)request->kind) {
    case REQUEST_CONFIRM:
        on_confirmation(client, lane, request, bytes, len, last);
        return false;
    case REQUEST_SCRIPT:
        return script_on_reply(client, lane, request, bytes, len, last);
    case REQUEST_LIMIT:
        return limit_on_reply(client, lane, request, bytes, len, last);
    case REQUEST_LOWERS:
        if (last)
            limiter_note_lowered(client->worker->limiter);
        return false;
    case REQUEST_COMMAND:
        return command_info_on_reply(client, lane, request, bytes, len, last);
    case REQUEST_BURST_EXEC:
        check_burst(client, lane, request, bytes, len);
        if (last && !failed && lane == client->pin)
            session->watching = false;
        return false;
    case REQUEST_ABORT:
        if (last)
            answer_abort(client, request);
        if (last)
            end_tx(client);
        return true;
    default:
        break;
    }
    if (!last)
        return false;
    switch ((enum request_kind)request->kind) {
    case REQUEST_STICK:
        session->stuck |= !failed;
        break;
    case REQUEST_FOREIGN:
        lane->clean &= failed;
        break;
    case REQUEST_MULTI:
        session->tx_open = !failed;
        break;
    case REQUEST_EXEC:
        if (session->tx_lowers)
            limiter_note_lowered(client->worker->limiter);
        session->adopted |= session->tx_adopts && !failed;
        lane->subscriber |= session->adopted && session_subscriptions(session); /* it may speak RESP2 now */
        end_tx(client);
        break;
    case REQUEST_DISCARD:
        if (!failed)
            end_tx(client);
        break;
    case REQUEST_WATCH:
        session->watching |= !failed;
        break;
    case REQUEST_UNWATCH:
        session->watching &= failed;
        break;
    case REQUEST_TRACKING_ON:
        session->tracking |= !failed;
        break;
    case REQUEST_TRACKING_OFF:
        session->tracking &= failed;
        break;
    case REQUEST_MONITOR:
        if (!failed)
            pin_become_tunnel(client);
        break;
    default:
        break;
    }
    return false;
}
