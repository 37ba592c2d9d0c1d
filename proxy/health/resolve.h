/*
 * Names of backends, looked up without blocking: at once, whenever a worker asks (connecting failed), and again when
 * the answer's time to live is over, clamped to 1..30 s. A look-up that fails changes nothing but the reason: the last
 * good addresses stay in use. /etc/hosts and the search list of resolv.conf are honoured.
 *
 * Thread and owner: main.
 */
#pragma once

struct backend;
struct event_base;
struct resolver;

/* NULL: no memory. */
struct resolver *resolver_new(struct event_base *base);
void resolver_free(struct resolver *resolver); /* NULL is fine */

/* Does nothing for numeric hosts and Unix sockets. The backend must stay until it is removed. */
void resolver_add(struct resolver *resolver, struct backend *backend);
void resolver_remove(struct resolver *resolver, struct backend *backend);
