#include "proxy/watch/http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/net/log.h"
#include "proxy/net/loop.h"
#include "proxy/watch/admin.h"
#include "proxy/watch/door.h"
#include "proxy/watch/follow.h"
#include "proxy/watch/scene.h"

enum { TIMEOUT_S = 5, HEADERS_MAX = 8192, BODY_MAX = 4096 };

/* Where a request came in. */
struct side {
    struct http *http;
    struct door *door; /* NULL: not served there */
    bool is_local;
};

struct http {
    const struct scene *scene;
    struct side tcp, local;
    struct follow *follow;
};

static const struct {
    const char *path;
    page_write *write;
} pages[] = {
    {"/", page_index},          {"/metrics", page_metrics},  {"/livez", page_livez},     {"/startupz", page_startupz},
    {"/readyz", page_readyz},   {"/stats.json", page_stats}, {"/config", page_config},   {"/events", page_events},
    {"/version", page_version}, {"/top", page_top},          {"/slowlog", page_slowlog},
};

bool page_asks(const struct page *page, const char *word)
{
    size_t len = strlen(word);
    const char *at = page->query;

    while (at && *at) {
        size_t part = strcspn(at, "&");
        if (part >= len && !strncmp(at, word, len) && (part == len || at[len] == '='))
            return strncmp(at + len, "=0", 2) != 0 && strncmp(at + len, "=no", 3) != 0;
        at += part + (at[part] == '&');
    }
    return false;
}

static void set_headers(struct evhttp_request *request, const char *type)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

    evhttp_add_header(headers, "Content-Type", type);
    evhttp_add_header(headers, "Cache-Control", "no-store");
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
}

static const char *reason_of(int status)
{
    return status == 200   ? "OK"
           : status == 403 ? "Forbidden"
           : status == 409 ? "Conflict"
           : status == 404 ? "Not Found"
           : status == 405 ? "Method Not Allowed"
                           : "Service Unavailable";
}

static void send_page(struct evhttp_request *request, const struct page *page, const char *body, size_t len)
{
    struct evbuffer *out = evbuffer_new();
    char length[24];

    set_headers(request, page->type);
    if (page->policy)
        evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Security-Policy", page->policy);
    if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD) {
        snprintf(length, sizeof(length), "%zu", len);
        evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Length", length);
    } else if (out) {
        evbuffer_add(out, body, len);
    }
    evhttp_send_reply(request, page->status, reason_of(page->status), out);
    if (out)
        evbuffer_free(out);
}

static void write_not_found(const struct scene *scene, struct page *page)
{
    (void)scene;
    page->status = 404;
    fputs("no such page; there are:\n", page->body);
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
        fprintf(page->body, "%s\n", pages[i].path);
}

static page_write *find_page(const char *path)
{
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
        if (!strcmp(path, pages[i].path))
            return pages[i].write;
    return write_not_found;
}

static void write_bad_method(const struct scene *scene, struct page *page)
{
    (void)scene;
    page->status = 405;
    fputs("only GET and HEAD\n", page->body);
}

static const char *header(struct evhttp_request *request, const char *name)
{
    const char *value = evhttp_find_header(evhttp_request_get_input_headers(request), name);

    return value ? value : "";
}

/* `write` is NULL for a verb. */
static void write_page(const struct side *side, struct evhttp_request *request, page_write *write, struct page *page)
{
    struct admin_request order = {.host = header(request, "Host"),
                                  .origin = header(request, "Origin"),
                                  .is_post = evhttp_request_get_command(request) == EVHTTP_REQ_POST,
                                  .is_local = side->is_local};

    if (write) {
        write(side->http->scene, page);
        return;
    }
    order.path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
    admin_answer(side->http->scene, &order, page);
}

static void answer(const struct side *side, struct evhttp_request *request, page_write *write, struct page *page)
{
    char *body = NULL;
    size_t len = 0;

    page->status = 200;
    page->type = "text/plain; charset=utf-8";
    page->body = open_memstream(&body, &len);
    if (!page->body) {
        evhttp_send_error(request, 503, "out of memory");
        return;
    }
    __fsetlocking(page->body, FSETLOCKING_BYCALLER); /* it is ours alone, and there is much to write */
    write_page(side, request, write, page);
    fclose(page->body);
    send_page(request, page, body, len);
    free(body);
}

/* NULL: it is a verb, and tells by itself what is wrong. */
static page_write *choose_page(struct evhttp_request *request, const char *path)
{
    enum evhttp_cmd_type method = evhttp_request_get_command(request);
    bool is_verb = admin_is_verb(path);

    if (is_verb && method == EVHTTP_REQ_POST)
        return NULL;
    if (is_verb || (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD))
        evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", is_verb ? "POST" : "GET, HEAD");
    if (is_verb)
        return NULL;
    return method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD ? find_page(path) : write_bad_method;
}

/* evhttp takes what follows a HEAD for the next request, whatever its headers say. */
static bool has_unread_body(struct evhttp_request *request)
{
    return evhttp_request_get_command(request) == EVHTTP_REQ_HEAD &&
           (header(request, "Content-Length")[0] || header(request, "Transfer-Encoding")[0]);
}

static void on_request(struct evhttp_request *request, void *arg)
{
    const struct side *side = arg;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
    struct page page = {.query = uri ? evhttp_uri_get_query(uri) : NULL, .accept = header(request, "Accept")};
    page_write *write = choose_page(request, path && *path ? path : "/");

    if (has_unread_body(request))
        evhttp_add_header(evhttp_request_get_output_headers(request), "Connection", "close");
    page.json = strstr(page.accept, "application/json");
    if (write == page_events && evhttp_request_get_command(request) == EVHTTP_REQ_GET && page_asks(&page, "follow")) {
        set_headers(request, "application/x-ndjson");
        follow_add(side->http->follow, request);
        return;
    }
    answer(side, request, write, &page);
}

static struct evhttp *make_server(struct http *http, struct side *side)
{
    struct evhttp *server = evhttp_new(http->scene->loop->base);

    if (!server)
        return NULL;
    /* All, so that a wrong one gets our answer. */
    evhttp_set_allowed_methods(server, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT |
                                           EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
    evhttp_set_timeout(server, TIMEOUT_S);
    evhttp_set_max_headers_size(server, HEADERS_MAX);
    evhttp_set_max_body_size(server, BODY_MAX);
    side->http = http;
    evhttp_set_gencb(server, on_request, side);
    return server;
}

static bool open_doors(struct http *http, const struct http_places *places)
{
    struct event_base *base = http->scene->loop->base;

    if (places->address[0]) {
        http->tcp.door = door_open_tcp(make_server(http, &http->tcp), base, places->address);
        if (!http->tcp.door && !places->may_fail)
            return false;
    }
    http->local.is_local = true;
    if (places->unix_socket[0])
        http->local.door = door_open_unix(make_server(http, &http->local), base, places->unix_socket);
    return http->local.door || !places->unix_socket[0];
}

struct http *http_new(const struct scene *scene, const struct http_places *places)
{
    struct http *http = calloc(1, sizeof(*http));

    if (!http)
        end_out_of_memory(sizeof(*http));
    http->scene = scene;
    http->follow = follow_new(scene->journal);
    if (!http->follow)
        log_write(LOG_ERROR, "no stats port", LOG_TEXT("reason", "out of memory"));
    else if (open_doors(http, places))
        return http;
    http_free(http);
    return NULL;
}

void http_free(struct http *http)
{
    if (!http)
        return;
    follow_free(http->follow);
    door_close(http->tcp.door);
    door_close(http->local.door);
    free(http);
}
