/* A client's commands on their way to a lane, and how they are counted. */
#include "proxy/flow/client.h"
#include "proxy/watch/meter.h"

struct request *client_send(struct client *client, struct lane *lane, enum request_kind kind, const void *bytes,
                            size_t len)
{
    bool muted = client_is_muted(client), run = kind == REQUEST_PLAIN && client->session.overflow;
    enum request_class class = client->worker->settings->classes[client->last_command->index];
    struct request *request = run ? lane_send_in_run(lane, &client->requester, muted, bytes, len) : NULL;

    if (!request) {
        request = lane_send(lane, &client->requester, (uint8_t)kind, bytes, len);
        request->muted = muted;
        request->run = run;
        request->class = (uint8_t) class;
        request->keyed = !client->inflight;
    }
    if (class != REQUEST_CLASS_connection)
        client->has_worked = true;
    client->inflight++;
    client_count_request(client);
    if (lane->pool->key.backend->metered && !client->worker->settings->unbilled[client->last_command->index])
        counter_add(&lane->pool->meter->billed, 1);
    return request;
}

struct request *client_send_again(struct client *client, struct lane *lane, const struct request *before,
                                  enum request_kind kind, const void *bytes, size_t len)
{
    struct request *request = lane_send(lane, &client->requester, (uint8_t)kind, bytes, len);

    request->muted = before->muted;
    request->class = before->class;
    client->inflight++;
    client->not_replied = true;
    return request;
}
