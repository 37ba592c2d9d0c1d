/*
 * The stats port: evhttp on main's loop, so that no request to it ever waits for, or holds up, a request of a client.
 *
 *   connection ──> method, path ──> page (a body made at once), stream (/events?follow), verb (POST, an order to main)
 *
 * Bounded: so many connections, so long for a request, so many bytes of it. What is served is what the scene shows.
 * Thread and owner: main.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct evhttp_request;
struct http;
struct scene;

/* A header of every answer: where this respgate listens for clients, its address and its Unix socket, either "". */
#define HTTP_IDENTITY "Respgate-Listens"

/* Where to serve: either may be "". */
struct http_places {
    const char *address;
    const char *unix_socket;
    bool may_fail; /* nobody asked for this address: when it cannot be had, go on without */
};

/* NULL after logging what went wrong. */
struct http *http_new(const struct scene *scene, const struct http_places *places);
void http_free(struct http *http); /* NULL is fine */

/* --- for the pages --- */

struct page {
    FILE *body;
    int status;
    const char *type; /* Content-Type */
    const char *query, *accept;
    bool json;          /* the request prefers JSON */
    const char *policy; /* Content-Security-Policy; NULL: none */
};

typedef void page_write(const struct scene *scene, struct page *page);

/* Whether the query has this word, alone or with a value other than 0 and no. */
bool page_asks(const struct page *page, const char *word);

page_write page_metrics, page_livez, page_startupz, page_readyz, page_stats, page_config, page_events, page_version,
    page_top, page_index, page_slowlog;
