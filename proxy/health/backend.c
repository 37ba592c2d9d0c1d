#include "proxy/health/backend.h"

#include <assert.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/net/tls.h"

static struct backend_addresses *unix_address(const char *path)
{
    struct backend_addresses *addresses = calloc(1, sizeof(*addresses));
    struct sockaddr_un *address;

    if (!addresses)
        return NULL;
    address = (struct sockaddr_un *)&addresses->at[0].address;
    address->sun_family = AF_UNIX;
    snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
    addresses->at[0].len = sizeof(*address);
    addresses->count = 1;
    return addresses;
}

static struct backend_addresses *numeric_address(const char *host, unsigned port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found;
    struct backend_addresses *addresses;
    char service[8];

    snprintf(service, sizeof(service), "%u", port);
    if (getaddrinfo(host, service, &hints, &found))
        return NULL;
    addresses = calloc(1, sizeof(*addresses));
    if (addresses) {
        memcpy(&addresses->at[0].address, found->ai_addr, found->ai_addrlen);
        addresses->at[0].len = found->ai_addrlen;
        addresses->count = 1;
    }
    freeaddrinfo(found);
    return addresses;
}

struct backend *backend_new(const char *name, const char *url)
{
    struct backend *backend = calloc(1, sizeof(*backend));
    char text[512];
    bool ok;

    if (!backend)
        return NULL;
    ok = redis_url_parse(url, &backend->url, text, sizeof(text));
    assert(ok);
    (void)ok;
    redis_url_redact(url, text, sizeof(text));
    backend->name = strdup(name);
    backend->redacted = strdup(text);
    atomic_init(&backend->refs, 1);
    atomic_init(&backend->hint_fd, -1);
    atomic_init(&backend->addresses, backend->url.is_unix ? unix_address(backend->url.host)
                                                          : numeric_address(backend->url.host, backend->url.port));
    return backend;
}

struct backend *backend_ref(struct backend *backend)
{
    atomic_fetch_add_explicit(&backend->refs, 1, memory_order_relaxed);
    return backend;
}

static void free_addresses(struct backend_addresses *addresses)
{
    while (addresses) {
        struct backend_addresses *older = addresses->older;
        free(addresses);
        addresses = older;
    }
}

static void free_trust(struct backend_trust *trust)
{
    while (trust) {
        struct backend_trust *older = trust->older;
        tls_context_unref(trust->tls);
        free(trust);
        trust = older;
    }
}

void backend_unref(struct backend *backend)
{
    if (!backend || atomic_fetch_sub(&backend->refs, 1) > 1)
        return;
    free_addresses(atomic_load(&backend->addresses));
    free_trust(atomic_load(&backend->trust));
    redis_url_free(&backend->url);
    free(backend->name);
    free(backend->redacted);
    free(backend->dataset);
    free(backend);
}

bool backend_set_trust(struct backend *backend, struct tls_context *tls)
{
    struct backend_trust *trust = calloc(1, sizeof(*trust));

    if (!trust) {
        tls_context_unref(tls);
        return false;
    }
    trust->older = atomic_load(&backend->trust);
    trust->tls = tls;
    atomic_store(&backend->trust, trust);
    return true;
}

struct tls_context *backend_tls(struct backend *backend)
{
    struct backend_trust *trust = atomic_load(&backend->trust);

    return trust ? trust->tls : NULL;
}

void backend_set_addresses(struct backend *backend, struct backend_addresses *addresses)
{
    addresses->older = atomic_load(&backend->addresses);
    atomic_store(&backend->addresses, addresses);
}

void backend_ask_resolve(struct backend *backend)
{
    atomic_store_explicit(&backend->wants_resolve, true, memory_order_relaxed);
}

void backend_hint(struct backend *backend, enum health_cause cause)
{
    unsigned bit = 1U << cause;
    uint64_t one = 1;

    if (atomic_load_explicit(&backend->hints, memory_order_relaxed) & bit)
        return;
    if (atomic_fetch_or(&backend->hints, bit) & bit)
        return;
    int fd = atomic_load(&backend->hint_fd);
    ssize_t n = fd >= 0 ? write(fd, &one, sizeof(one)) : 0;
    (void)n; /* a full counter wakes as well */
}
