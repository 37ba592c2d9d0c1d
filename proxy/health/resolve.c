#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/health/backend.h"
#include "proxy/net/log.h"

enum { RESOLVE_TICK_MS = 200 };

struct resolver {
    struct backend *backend;
    struct evdns_base *dns;
    struct event *tick;
    bool busy; /* one look-up at a time */
};

static struct backend_addresses *copy_addresses(const struct evutil_addrinfo *found)
{
    struct backend_addresses *addresses = calloc(1, sizeof(*addresses));

    for (; addresses && found && addresses->count < BACKEND_ADDRESSES_MAX; found = found->ai_next) {
        memcpy(&addresses->at[addresses->count].address, found->ai_addr, (size_t)found->ai_addrlen);
        addresses->at[addresses->count++].len = (socklen_t)found->ai_addrlen;
    }
    return addresses;
}

static bool has_address(const struct backend_addresses *addresses, size_t of, const struct backend_addresses *in)
{
    for (size_t i = 0; i < in->count; i++)
        if (in->at[i].len == addresses->at[of].len &&
            !memcmp(&in->at[i].address, &addresses->at[of].address, in->at[i].len))
            return true;
    return false;
}

/* In any order: many name servers rotate them. */
static bool same_addresses(const struct backend_addresses *a, const struct backend_addresses *b)
{
    if (!b || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!has_address(a, i, b))
            return false;
    return true;
}

static void on_resolved(int error, struct evutil_addrinfo *found, void *arg)
{
    struct resolver *resolver = arg;
    struct backend *backend = resolver->backend;
    struct backend_addresses *known, *addresses;

    resolver->busy = false;
    if (error == EVUTIL_EAI_CANCEL)
        return;
    if (error) {
        log_write(LOG_WARN, "backend name not resolved", LOG_TEXT("backend", backend->name),
                  LOG_TEXT("host", backend->url.host), LOG_TEXT("reason", evutil_gai_strerror(error)));
        return;
    }
    addresses = copy_addresses(found);
    evutil_freeaddrinfo(found);
    known = atomic_load(&backend->addresses);
    if (!addresses || same_addresses(addresses, known)) {
        free(addresses);
        return;
    }
    addresses->older = known;
    atomic_store(&backend->addresses, addresses);
    log_write(LOG_INFO, "backend name resolved", LOG_TEXT("backend", backend->name),
              LOG_TEXT("host", backend->url.host), LOG_NUM("addresses", addresses->count));
}

static void look_up(struct resolver *resolver)
{
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    char service[8];

    if (resolver->busy)
        return;
    resolver->busy = true;
    snprintf(service, sizeof(service), "%u", resolver->backend->url.port);
    evdns_getaddrinfo(resolver->dns, resolver->backend->url.host, service, &hints, on_resolved, resolver);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct resolver *resolver = arg;
    (void)fd;
    (void)what;
    if (atomic_exchange(&resolver->backend->wants_resolve, false))
        look_up(resolver);
}

struct resolver *resolver_start(struct backend *backend, struct event_base *base)
{
    struct timeval interval = {.tv_usec = RESOLVE_TICK_MS * 1000};
    struct resolver *resolver;

    if (atomic_load(&backend->addresses))
        return NULL;
    resolver = calloc(1, sizeof(*resolver));
    if (!resolver)
        return NULL;
    resolver->backend = backend;
    resolver->dns = evdns_base_new(base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!resolver->dns)
        resolver->dns = evdns_base_new(base, 0); /* no resolv.conf: the hosts file must do */
    /* Container resolvers answer in lower case, which libevent's case game takes for a forged answer. */
    evdns_base_set_option(resolver->dns, "randomize-case:", "0");
    evdns_base_load_hosts(resolver->dns, "/etc/hosts");
    resolver->tick = event_new(base, -1, EV_PERSIST, on_tick, resolver);
    event_add(resolver->tick, &interval);
    look_up(resolver);
    return resolver;
}

void resolver_stop(struct resolver *resolver)
{
    if (!resolver)
        return;
    event_free(resolver->tick);
    evdns_base_free(resolver->dns, 1);
    free(resolver);
}
