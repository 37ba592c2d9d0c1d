/*
 * One place where the stats port listens, and its bound on connections: beyond it nobody is accepted, and callers wait
 * in the kernel's queue until somebody has left; who has been there for long and for the longest must.
 *
 * evhttp tells nobody when a connection ends. So a reference to each connection's bufferevent is kept here; one whose
 * callbacks are gone was freed by evhttp. That is looked at when a connection comes, and in short intervals at the
 * bound.
 *
 * Thread and owner: main.
 */
#pragma once

#include <stdbool.h>

struct door;
struct event_base;
struct evhttp;

/* Both take over `server`, also when they fail: NULL after logging why. */
struct door *door_open_tcp(struct evhttp *server, struct event_base *base, const char *address);
struct door *door_open_unix(struct evhttp *server, struct event_base *base, const char *path);
void door_close(struct door *door); /* NULL is fine */
