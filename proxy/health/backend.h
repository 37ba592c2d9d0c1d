/*
 * A Redis endpoint: where it is and how to log in. Made once by main, read by all workers.
 *
 * Names are resolved by the resolver on main's thread; workers only read the latest addresses and ask for new ones when
 * connecting fails. The last good addresses stay in use when a later look-up fails.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "conf/url.h"

struct event_base;
struct evdns_base;

enum { BACKEND_ADDRESSES_MAX = 8 };

/* Immutable once published; kept until the backend is finished, because a worker may still read it. */
struct backend_addresses {
    struct backend_addresses *older;
    size_t count;
    struct {
        struct sockaddr_storage address;
        socklen_t len;
    } at[BACKEND_ADDRESSES_MAX];
};

struct backend {
    char *name;
    struct redis_url url;
    char *redacted;                                /* the URL without its password, for people */
    _Atomic(struct backend_addresses *) addresses; /* written by main's thread; NULL until known */
    atomic_bool wants_resolve;                     /* set by workers, cleared by main's thread */
};

/* `url` must parse. Unix paths and numeric hosts have their address at once. */
struct backend *backend_new(const char *name, const char *url);
void backend_free(struct backend *backend);

/* Asks for new addresses, from any thread. */
void backend_ask_resolve(struct backend *backend);

/* Looks the name up without blocking, now and whenever asked. Main's thread; NULL when the name needs no look-up. */
struct resolver;
struct resolver *resolver_start(struct backend *backend, struct event_base *base);
void resolver_stop(struct resolver *resolver); /* NULL is fine */
