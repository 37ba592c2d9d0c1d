#include "proxy/flow/roll.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/flow/census.h"
#include "proxy/flow/client.h"

struct roll_book *roll_book_new(void)
{
    struct roll_book *book = calloc(1, sizeof(*book));

    if (book)
        pthread_mutex_init(&book->lock, NULL);
    return book;
}

void roll_book_free(struct roll_book *book)
{
    if (!book)
        return;
    pthread_mutex_destroy(&book->lock);
    free(book);
}

const char *roll_doing_name(enum roll_doing doing)
{
    static const char *const names[] = {
#define X(name, help) #name,
        ROLL_DOINGS(X)
#undef X
    };

    return names[doing];
}

static enum roll_doing doing_of(const struct client *client, uint64_t now_ms)
{
    const struct session *session = &client->session;

    if (census_is_silent(client, now_ms))
        return ROLL_silent;
    if (client->last_command && client->last_command->id == CMD_MONITOR)
        return ROLL_monitor;
    if (session_subscriptions(session))
        return ROLL_subscribed;
    if (client->blocked)
        return ROLL_blocked;
    if (session->tx_open || session->watching)
        return ROLL_transaction;
    return client->inflight || client->gate != GATE_OPEN ? ROLL_waiting : ROLL_idle;
}

void roll_begin(struct roll_book *book, uint64_t now_ms)
{
    book->next.at_ms = now_ms;
    book->next.clients = book->next.n_named = book->next.n_unnamed = book->next.n = 0;
}

void roll_add(struct roll_book *book, const struct client *client, uint64_t now_ms)
{
    struct roll *roll = &book->next;
    static const struct client_names no_names;
    const struct client_names *names = client->names ? client->names : &no_names;
    bool named = names->name && names->name[0];
    struct roll_entry *entry = &roll->at[roll->n];

    roll->clients++;
    if (named ? roll->n_named == ROLL_NAMED : roll->n_unnamed == ROLL_UNNAMED)
        return;
    roll->n++;
    *(named ? &roll->n_named : &roll->n_unnamed) += 1;
    *entry = (struct roll_entry){.id = client->id,
                                 .created_ms = client->created_ms,
                                 .active_ms = client->active_ms,
                                 .last = client->last_command,
                                 .backend = client->pool->key.backend,
                                 .inflight = client->inflight,
                                 .doing = doing_of(client, now_ms),
                                 .pinned = client->pin};
    snprintf(entry->name, sizeof(entry->name), "%s", named ? names->name : "");
    snprintf(entry->user, sizeof(entry->user), "%s", names->user ? names->user : "default");
}

void roll_publish(struct roll_book *book)
{
    size_t used = offsetof(struct roll, at) + book->next.n * sizeof(book->next.at[0]);

    pthread_mutex_lock(&book->lock);
    memcpy(&book->shown, &book->next, used);
    pthread_mutex_unlock(&book->lock);
}

void roll_copy(struct roll_book *book, struct roll *copy)
{
    pthread_mutex_lock(&book->lock);
    memcpy(copy, &book->shown, offsetof(struct roll, at) + book->shown.n * sizeof(book->shown.at[0]));
    pthread_mutex_unlock(&book->lock);
}
