/* Commands that are answered here, without a backend. */
#include <stdlib.h>

#include "proxy/flow/client.h"

void client_count_failure(struct client *client, unsigned class, enum error_code code, uint32_t n)
{
    counter_add(&client->worker->errors[ERROR_OF_RESPGATE][class][code], n);
}

bool client_is_muted(const struct client *client)
{
    return client->reply_mode == REPLY_OFF || client->reply_mode == REPLY_SKIP_THIS;
}

void client_pass_answer(struct client *client, const struct reply_writer *reply, _Atomic uint64_t *outcome)
{
    client_count_request(client);
    counter_add(outcome, 1);
    if (client_is_muted(client))
        return;
    conn_write(&client->conn, reply->bytes, reply->len);
    throttle_answers(client);
}

void client_answer(struct client *client, const struct reply_writer *reply, _Atomic uint64_t *outcome)
{
    if (reply->len && reply->bytes[0] == '-')
        client_count_failure(client, client_class(client), error_code_of(reply->bytes, reply->len), 1);
    client_pass_answer(client, reply, outcome);
}

void client_answer_error(struct client *client, const char *text, _Atomic uint64_t *outcome)
{
    uint8_t bytes[512];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof(bytes)};

    reply_error(&w, text);
    client_answer(client, &w, outcome);
}

void client_answer_ok(struct client *client)
{
    static uint8_t ok[] = "+OK\r\n";
    client_answer(client, &(struct reply_writer){.bytes = ok, .len = 5}, &client->worker->counters.replied);
}

void client_answer_text(struct client *client, const char *text, size_t len)
{
    uint8_t *bytes = malloc(len + 48);
    struct reply_writer w = {.bytes = bytes, .cap = bytes ? len + 48 : 0};

    reply_verbatim(&w, client->pool->key.resp, text, len);
    client_answer(client, &w, &client->worker->counters.replied);
    free(bytes);
}
