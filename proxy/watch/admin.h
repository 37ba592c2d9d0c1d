/*
 * The verbs of the stats port: POST /reload, /drain, /pin?backend=NAME, /unpin. Taken over the Unix socket, which only
 * its owner can open, or with stats.admin over TCP. A web page somewhere else must not be able to give orders through
 * somebody's browser: Host must be ours (host.h), and Origin, which browsers send along, must be ourselves. Main's
 * thread.
 */
#pragma once

#include <stdbool.h>

struct page;
struct scene;

struct admin_request {
    const char *path, *host, *origin; /* "" when there is none */
    bool is_post, is_local;
};

bool admin_is_verb(const char *path);
void admin_answer(const struct scene *scene, const struct admin_request *request, struct page *page);
