#include "proxy/health/backend.h"

#include <assert.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

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
    atomic_init(&backend->addresses, backend->url.is_unix ? unix_address(backend->url.host)
                                                          : numeric_address(backend->url.host, backend->url.port));
    return backend;
}

void backend_free(struct backend *backend)
{
    struct backend_addresses *addresses;

    if (!backend)
        return;
    addresses = atomic_load(&backend->addresses);
    while (addresses) {
        struct backend_addresses *older = addresses->older;
        free(addresses);
        addresses = older;
    }
    redis_url_free(&backend->url);
    free(backend->name);
    free(backend->redacted);
    free(backend);
}

void backend_ask_resolve(struct backend *backend)
{
    atomic_store_explicit(&backend->wants_resolve, true, memory_order_relaxed);
}
