#include "proxy/watch/admin.h"

#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "proxy/flow/settings.h"
#include "proxy/watch/host.h"
#include "proxy/watch/http.h"
#include "proxy/watch/orders.h"
#include "proxy/watch/scene.h"

static const char *const verbs[] = {"/reload", "/drain", "/pin", "/unpin"};

bool admin_is_verb(const char *path)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (!strcmp(path, verbs[i]))
            return true;
    return false;
}

static bool is_own_origin(const struct admin_request *request)
{
    static const char scheme[] = "http://";

    if (!request->origin[0])
        return true; /* no browser */
    return !strncmp(request->origin, scheme, strlen(scheme)) &&
           !strcmp(request->origin + strlen(scheme), request->host);
}

/* Why the order is not taken; NULL when it is. */
static const char *refusal(const struct scene *scene, const struct admin_request *request)
{
    if (request->is_local)
        return NULL;
    if (!conf_number(scene->settings->conf, "stats", NULL, "admin"))
        return "orders are taken over stats.unix_socket, or with stats.admin = yes";
    if (!host_is_ours(request->host, conf_string(scene->settings->conf, "stats", NULL, "hosts")))
        return "Host must be an address, localhost, or one of stats.hosts";
    return is_own_origin(request) ? NULL : "Origin is another site";
}

static void run(const struct orders *orders, const char *path, const char *query, char reason[ORDER_REASON_LEN])
{
    static const char key[] = "backend=";

    reason[0] = 0;
    if (!strcmp(path, "/reload"))
        orders->reload(orders->arg, reason);
    else if (!strcmp(path, "/drain"))
        orders->drain(orders->arg, reason);
    else if (!strcmp(path, "/unpin"))
        orders->pin(orders->arg, NULL, reason);
    else if (query && !strncmp(query, key, strlen(key)) && query[strlen(key)])
        orders->pin(orders->arg, query + strlen(key), reason);
    else
        snprintf(reason, ORDER_REASON_LEN, "which one? /pin?backend=NAME");
}

void admin_answer(const struct scene *scene, const struct admin_request *request, struct page *page)
{
    const char *refused = refusal(scene, request);
    char reason[ORDER_REASON_LEN];

    if (!request->is_post) {
        page->status = 405;
        fputs("only POST\n", page->body);
        return;
    }
    if (refused) {
        page->status = 403;
        fprintf(page->body, "%s\n", refused);
        return;
    }
    run(scene->orders, request->path, page->query, reason);
    page->status = reason[0] ? 409 : 200;
    fprintf(page->body, "%s\n", reason[0] ? reason : "done");
}
