#include "proxy/watch/http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "proxy/flow/settings.h"
#include "proxy/net/log.h"
#include "proxy/net/loop.h"
#include "proxy/watch/admin.h"
#include "proxy/watch/door.h"
#include "proxy/watch/follow.h"
#include "proxy/watch/host.h"
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

/* Which respgate it is that answers, for who has another one in mind. */
static void add_identity(const struct scene *scene, struct evkeyvalq *headers)
{
    const struct conf *conf = scene->settings->conf;
    char listens[512];

    snprintf(listens, sizeof(listens), "%s %s", conf_string(conf, "listen", NULL, "address"),
             conf_string(conf, "listen", NULL, "unix_socket"));
    evhttp_add_header(headers, HTTP_IDENTITY, listens);
}

static void set_headers(const struct scene *scene, struct evhttp_request *request, const char *type)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

    add_identity(scene, headers);
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

/* Takes over `body`. */
static void send_page(const struct scene *scene, struct evhttp_request *request, const struct page *page,
                      struct evbuffer *body)
{
    size_t len = evbuffer_get_length(body);
    char length[24];

    set_headers(scene, request, page->type);
    if (page->policy)
        evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Security-Policy", page->policy);
    if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD) {
        snprintf(length, sizeof(length), "%zu", len);
        evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Length", length);
        evbuffer_drain(body, len);
    }
    evhttp_send_reply(request, page->status, reason_of(page->status), body);
    evbuffer_free(body);
}

static bool is_served(const struct scene *scene, page_write *write)
{
    return write != page_index || conf_number(scene->settings->conf, "stats", NULL, "page");
}

static void write_not_found(const struct scene *scene, struct page *page)
{
    page->status = 404;
    fputs("no such page; there are:\n", page->body);
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
        if (is_served(scene, pages[i].write))
            fprintf(page->body, "%s\n", pages[i].path);
}

static void write_strange_host(const struct scene *scene, struct page *page)
{
    (void)scene;
    page->status = 403;
    fputs("by this name nobody is answered but probes: Host must be an address, localhost, or one of stats.hosts\n",
          page->body);
}

static page_write *find_page(const struct scene *scene, const char *path)
{
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
        if (!strcmp(path, pages[i].path) && is_served(scene, pages[i].write))
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

static ssize_t write_body(void *body, const char *bytes, size_t len)
{
    return evbuffer_add(body, bytes, len) ? 0 : (ssize_t)len;
}

/*
 * Into pieces of a few KiB, which malloc() gives out again and again: a page in one piece would be given back to the
 * kernel each time, and cost more in page faults than in writing it.
 */
static FILE *open_body(struct evbuffer *body)
{
    FILE *stream = body ? fopencookie(body, "w", (cookie_io_functions_t){.write = write_body}) : NULL;

    if (stream)
        __fsetlocking(stream, FSETLOCKING_BYCALLER); /* it is ours alone, and there is much to write */
    return stream;
}

static void answer(const struct side *side, struct evhttp_request *request, page_write *write, struct page *page)
{
    struct evbuffer *body = evbuffer_new();

    page->status = 200;
    page->type = "text/plain; charset=utf-8";
    page->body = open_body(body);
    if (!page->body) {
        evhttp_send_error(request, 503, "out of memory");
        if (body)
            evbuffer_free(body);
        return;
    }
    write_page(side, request, write, page);
    fclose(page->body);
    send_page(side->http->scene, request, page, body);
}

/* NULL: it is a verb, and tells by itself what is wrong. */
static page_write *choose_page(const struct scene *scene, struct evhttp_request *request, const char *path)
{
    enum evhttp_cmd_type method = evhttp_request_get_command(request);
    bool is_verb = admin_is_verb(path);

    if (is_verb && method == EVHTTP_REQ_POST)
        return NULL;
    if (is_verb || (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD))
        evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", is_verb ? "POST" : "GET, HEAD");
    if (is_verb)
        return NULL;
    return method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD ? find_page(scene, path) : write_bad_method;
}

/* Browsers always send a Host, and others may leave it out. */
static bool is_asked_by_a_strange_name(const struct side *side, struct evhttp_request *request)
{
    const char *names = conf_string(side->http->scene->settings->conf, "stats", NULL, "hosts");

    return !side->is_local && header(request, "Host")[0] && !host_is_ours(header(request, "Host"), names);
}

/* Orchestrators call a probe by any name, and are told yes or no. */
static page_write *guard(page_write *write, struct page *page)
{
    page->query = page->accept = "";
    return write == page_livez || write == page_startupz || write == page_readyz ? write : write_strange_host;
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
    page_write *write = choose_page(side->http->scene, request, path && *path ? path : "/");

    if (write && is_asked_by_a_strange_name(side, request))
        write = guard(write, &page);
    if (has_unread_body(request))
        evhttp_add_header(evhttp_request_get_output_headers(request), "Connection", "close");
    page.json = strstr(page.accept, "application/json");
    if (write == page_events && evhttp_request_get_command(request) == EVHTTP_REQ_GET && page_asks(&page, "follow")) {
        set_headers(side->http->scene, request, "application/x-ndjson");
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
