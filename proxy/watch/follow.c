#include "proxy/watch/follow.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "proxy/health/journal.h"

enum { FOLLOWERS_MAX = 8, UNREAD_MAX = 1 << 18, FOLLOW_S = 7 * 24 * 3600, END_S = 5 };

struct follower {
    LIST_ENTRY(follower) link;
    struct follow *follow;
    struct evhttp_request *request;
    uint64_t told; /* the number of the last entry it was sent */
};

struct follow {
    LIST_HEAD(follower_list, follower) followers;
    unsigned n;
    struct journal *journal;
};

static void forget(struct follower *follower)
{
    LIST_REMOVE(follower, link);
    follower->follow->n--;
    free(follower);
}

static void end(struct follower *follower)
{
    struct evhttp_request *request = follower->request;
    struct evhttp_connection *connection = evhttp_request_get_connection(request);

    evhttp_connection_set_closecb(connection, NULL, NULL);
    evhttp_connection_set_timeout(connection, END_S); /* to read what is left */
    forget(follower);
    evhttp_send_reply_end(request);
}

/* evhttp has either taken the request from its connection, then it is ours to free, or frees it with the connection. */
static void on_close(struct evhttp_connection *connection, void *arg)
{
    struct follower *follower = arg;
    struct evhttp_request *request = follower->request;

    (void)connection;
    forget(follower);
    if (!evhttp_request_get_connection(request))
        evhttp_request_free(request);
}

static size_t unread(const struct follower *follower)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(follower->request);

    return evbuffer_get_length(bufferevent_get_output(evhttp_connection_get_bufferevent(connection)));
}

static void tell(struct follower *follower)
{
    struct evbuffer *chunk;
    char *text = NULL;
    size_t len = 0;
    FILE *out;

    if (journal_last(follower->follow->journal) == follower->told)
        return;
    out = open_memstream(&text, &len);
    chunk = evbuffer_new();
    if (out && chunk) {
        follower->told = journal_print(follower->follow->journal, out, follower->told, "\n");
        fputc('\n', out);
        fflush(out);
        evbuffer_add(chunk, text, len);
        evhttp_send_reply_chunk(follower->request, chunk);
    }
    if (out)
        fclose(out);
    if (chunk)
        evbuffer_free(chunk);
    free(text);
}

static void on_entry(void *arg)
{
    struct follow *follow = arg;
    struct follower *follower, *next;

    for (follower = LIST_FIRST(&follow->followers); follower; follower = next) {
        next = LIST_NEXT(follower, link);
        if (unread(follower) > UNREAD_MAX)
            end(follower);
        else
            tell(follower);
    }
}

struct follow *follow_new(struct journal *journal)
{
    struct follow *follow = calloc(1, sizeof(*follow));

    if (!follow)
        return NULL;
    LIST_INIT(&follow->followers);
    follow->journal = journal;
    journal_listen(journal, on_entry, follow);
    return follow;
}

void follow_free(struct follow *follow)
{
    struct follower *follower, *next;

    if (!follow)
        return;
    journal_listen(follow->journal, NULL, NULL);
    for (follower = LIST_FIRST(&follow->followers); follower; follower = next) {
        next = LIST_NEXT(follower, link);
        end(follower);
    }
    free(follow);
}

void follow_add(struct follow *follow, struct evhttp_request *request)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(request);
    struct follower *follower = follow->n < FOLLOWERS_MAX ? calloc(1, sizeof(*follower)) : NULL;

    if (!follower) {
        evhttp_send_error(request, 503, "too many follow already");
        return;
    }
    follower->follow = follow;
    follower->request = request;
    LIST_INSERT_HEAD(&follow->followers, follower, link);
    follow->n++;
    evhttp_connection_set_timeout(connection, FOLLOW_S); /* it is quiet for as long as nothing happens */
    evhttp_connection_set_closecb(connection, on_close, follower);
    evhttp_send_reply_start(request, 200, "OK");
    tell(follower);
}
