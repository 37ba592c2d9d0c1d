#include "proxy/health/resolve.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/health/backend.h"
#include "proxy/net/log.h"
#include "proxy/watch/meter.h"

enum { TICK_MS = 100, TTL_MIN_S = 1, TTL_MAX_S = 30 };

static const char hosts_file[] = "/etc/hosts";

/*
 * One name. It outlives its backend while questions about it are under way.
 *
 *   IDLE ──(due, or asked for)──> ASKING ──(both answers are in)──> IDLE
 */
struct name {
    LIST_ENTRY(name) link;
    struct backend *backend;                     /* NULL: removed */
    struct evdns_getaddrinfo_request *addresses; /* NULL: answered */
    struct evdns_request *ttl;
    unsigned asking;     /* answers still to come */
    unsigned ticks_left; /* until it is due */
    unsigned ttl_s;      /* of the latest answer */
};

struct resolver {
    LIST_HEAD(name_list, name) names;
    struct evdns_base *dns;
    struct event *tick;
};

/* --- answers --- */

static struct backend_addresses *copy_addresses(const struct evutil_addrinfo *found)
{
    struct backend_addresses *addresses = calloc(1, sizeof(*addresses));

    for (; addresses && found && addresses->count < BACKEND_ADDRESSES_MAX; found = found->ai_next) {
        memcpy(&addresses->at[addresses->count].address, found->ai_addr, (size_t)found->ai_addrlen);
        addresses->at[addresses->count++].len = (socklen_t)found->ai_addrlen;
    }
    return addresses;
}

/* One line for each new reason, not for each attempt. */
static void note_error(struct backend *backend, const char *reason)
{
    const char *before = atomic_exchange(&backend->resolve_error, reason);

    if (reason && before != reason)
        log_write(LOG_WARN, "backend name not resolved", LOG_TEXT("backend", backend->name),
                  LOG_TEXT("host", backend->url.host), LOG_TEXT("reason", reason));
}

static void take_addresses(struct backend *backend, const struct evutil_addrinfo *found)
{
    struct backend_addresses *addresses = copy_addresses(found);
    size_t count = addresses ? addresses->count : 0;

    note_error(backend, NULL);
    if (!count)
        free(addresses);
    else if (backend_set_addresses(backend, addresses))
        log_write(LOG_INFO, "backend name resolved", LOG_TEXT("backend", backend->name),
                  LOG_TEXT("host", backend->url.host), LOG_NUM("addresses", count));
}

static void answered(struct name *name)
{
    unsigned ttl_s = name->ttl_s < TTL_MIN_S ? TTL_MIN_S : name->ttl_s > TTL_MAX_S ? TTL_MAX_S : name->ttl_s;

    name->asking--;
    name->ticks_left = ttl_s * 1000 / TICK_MS;
    if (!name->asking && !name->backend)
        free(name);
}

static void on_addresses(int error, struct evutil_addrinfo *found, void *arg)
{
    struct name *name = arg;

    name->addresses = NULL;
    if (name->backend && error && error != EVUTIL_EAI_CANCEL) {
        name->ttl_s = TTL_MIN_S; /* ask again soon */
        name->backend->tally->dns_failures++;
        note_error(name->backend, evutil_gai_strerror(error));
    } else if (name->backend && !error) {
        take_addresses(name->backend, found);
    }
    if (found)
        evutil_freeaddrinfo(found);
    answered(name);
}

/* The other question does not tell for how long its answer holds. */
static void on_ttl(int result, char type, int count, int ttl, void *addresses, void *arg)
{
    struct name *name = arg;

    (void)type, (void)addresses;
    name->ttl = NULL;
    if (result == DNS_ERR_NONE && count > 0 && ttl >= 0)
        name->ttl_s = (unsigned)ttl;
    answered(name);
}

/* --- questions --- */

static void ask(struct resolver *resolver, struct name *name)
{
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    char service[8];

    name->asking = 2;
    name->ttl_s = TTL_MAX_S;
    snprintf(service, sizeof(service), "%u", name->backend->url.port);
    /* The file may have been edited, and libevent reads it only when told to. */
    evdns_base_clear_host_addresses(resolver->dns);
    evdns_base_load_hosts(resolver->dns, hosts_file);
    name->addresses = evdns_getaddrinfo(resolver->dns, name->backend->url.host, service, &hints, on_addresses, name);
    /* An answer from the hosts file came within the call, and holds as long as it may. */
    if (name->addresses)
        name->ttl = evdns_base_resolve_ipv4(resolver->dns, name->backend->url.host, 0, on_ttl, name);
    if (!name->ttl)
        name->asking--;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct resolver *resolver = arg;
    struct name *name, *next;

    (void)fd, (void)what;
    for (name = LIST_FIRST(&resolver->names); name; name = next) {
        next = LIST_NEXT(name, link);
        if (name->ticks_left)
            name->ticks_left--;
        if (name->asking)
            continue;
        if (atomic_exchange(&name->backend->wants_resolve, false) || !name->ticks_left)
            ask(resolver, name);
    }
}

/* --- life --- */

struct resolver *resolver_new(struct event_base *base)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));

    if (!resolver)
        return NULL;
    LIST_INIT(&resolver->names);
    resolver->dns = evdns_base_new(base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!resolver->dns) { /* no resolv.conf, or none that names a server: then it is this one, says resolv.conf(5) */
        resolver->dns = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
        if (resolver->dns)
            evdns_base_nameserver_ip_add(resolver->dns, "127.0.0.1");
    }
    resolver->tick = event_new(base, -1, EV_PERSIST, on_tick, resolver);
    if (!resolver->dns || !resolver->tick) {
        resolver_free(resolver);
        return NULL;
    }
    /* Container resolvers answer in lower case, which libevent's case game takes for a forged answer. */
    evdns_base_set_option(resolver->dns, "randomize-case:", "0");
    /* How long addresses of one family wait for those of the other: some servers drop questions for AAAA. */
    evdns_base_set_option(resolver->dns, "getaddrinfo-allow-skew:", "0.2");
    return resolver;
}

/* The tick runs only while there are names to look up. */
static void arm_tick(struct resolver *resolver)
{
    struct timeval interval = {.tv_usec = TICK_MS * 1000};

    if (LIST_EMPTY(&resolver->names))
        event_del(resolver->tick);
    else
        event_add(resolver->tick, &interval);
}

void resolver_add(struct resolver *resolver, struct backend *backend)
{
    struct name *name;

    if (atomic_load(&backend->addresses))
        return;
    name = calloc(1, sizeof(*name));
    if (!name)
        return;
    name->backend = backend;
    LIST_INSERT_HEAD(&resolver->names, name, link);
    arm_tick(resolver);
    ask(resolver, name);
}

static void forget(struct resolver *resolver, struct name *name)
{
    LIST_REMOVE(name, link);
    arm_tick(resolver);
    name->backend = NULL;
    if (!name->asking) {
        free(name);
        return;
    }
    if (name->ttl)
        evdns_cancel_request(resolver->dns, name->ttl);
    if (name->addresses)
        evdns_getaddrinfo_cancel(name->addresses);
}

void resolver_remove(struct resolver *resolver, struct backend *backend)
{
    struct name *name;

    LIST_FOREACH(name, &resolver->names, link)
    if (name->backend == backend) {
        forget(resolver, name);
        return;
    }
}

void resolver_free(struct resolver *resolver)
{
    struct name *name, *next;

    if (!resolver)
        return;
    for (name = LIST_FIRST(&resolver->names); name; name = next) {
        next = LIST_NEXT(name, link);
        forget(resolver, name);
    }
    if (resolver->tick)
        event_free(resolver->tick);
    if (resolver->dns)
        evdns_base_free(resolver->dns, 1);
    free(resolver);
}
