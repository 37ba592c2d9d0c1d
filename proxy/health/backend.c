#include "proxy/health/backend.h"

#include <assert.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/net/conn.h"
#include "proxy/net/log.h"
#include "proxy/net/tls.h"
#include "proxy/watch/meter.h"

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
    backend->tally = calloc(1, sizeof(*backend->tally));
    backend->name = strdup(name);
    backend->redacted = strdup(text);
    if (!backend->tally || !backend->name || !backend->redacted)
        end_out_of_memory(sizeof(*backend->tally));
    atomic_init(&backend->refs, 1);
    pthread_mutex_init(&backend->tls_lock, NULL);
    atomic_init(&backend->hint_fd, -1);
    fence_init(&backend->fence);
    backend->known =
        backend->url.is_unix ? unix_address(backend->url.host) : numeric_address(backend->url.host, backend->url.port);
    atomic_init(&backend->addresses, backend->known);
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

void backend_unref(struct backend *backend)
{
    if (!backend || atomic_fetch_sub(&backend->refs, 1) > 1)
        return;
    for (unsigned i = 0; i < BACKEND_METERS_MAX; i++)
        free(atomic_load(&backend->meters[i]));
    free(backend->tally);
    free_addresses(backend->known);
    tls_context_unref(backend->tls);
    pthread_mutex_destroy(&backend->tls_lock);
    redis_url_free(&backend->url);
    free(backend->name);
    free(backend->redacted);
    free(backend->dataset);
    free(backend);
}

struct backend_meter *backend_meter(struct backend *backend, unsigned index)
{
    struct backend_meter *meter;

    assert(index < BACKEND_METERS_MAX);
    meter = atomic_load(&backend->meters[index]);
    if (meter)
        return meter;
    meter = calloc(1, sizeof(*meter));
    if (!meter)
        end_out_of_memory(sizeof(*meter));
    atomic_store(&backend->meters[index], meter);
    return meter;
}

void backend_set_tls(struct backend *backend, struct tls_context *tls)
{
    struct tls_context *before;

    pthread_mutex_lock(&backend->tls_lock);
    before = backend->tls;
    backend->tls = tls;
    pthread_mutex_unlock(&backend->tls_lock);
    tls_context_unref(before);
}

struct tls_context *backend_tls(struct backend *backend)
{
    struct tls_context *tls;

    if (!backend->url.tls)
        return NULL;
    pthread_mutex_lock(&backend->tls_lock);
    tls = backend->tls ? tls_context_ref(backend->tls) : NULL;
    pthread_mutex_unlock(&backend->tls_lock);
    return tls;
}

void backend_use_tls(struct backend *backend, struct conn *conn)
{
    struct tls_context *tls = backend_tls(backend);

    conn_use_tls(conn, tls);
    tls_context_unref(tls);
}

void backend_note_handshake(struct backend *backend, struct handshake_meter *meter, const struct tls *tls)
{
    int64_t end_s = tls_certificate_end(tls);

    counter_add(&meter->done, 1);
    counter_add(&meter->resumed, tls_was_resumed(tls));
    if (end_s && !tls_was_resumed(tls)) /* a resumed session has that of its first handshake, which may be old */
        atomic_store_explicit(&backend->certificate_end_s, end_s, memory_order_relaxed);
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
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!has_address(a, i, b))
            return false;
    return true;
}

static struct backend_addresses *find_addresses(const struct backend *backend, const struct backend_addresses *like)
{
    struct backend_addresses *known = backend->known;

    while (known && !same_addresses(like, known))
        known = known->older;
    return known;
}

bool backend_set_addresses(struct backend *backend, struct backend_addresses *addresses)
{
    struct backend_addresses *before = atomic_load(&backend->addresses), *known = find_addresses(backend, addresses);

    if (known) {
        free(addresses);
    } else {
        addresses->older = backend->known;
        backend->known = known = addresses;
    }
    atomic_store(&backend->addresses, known);
    return known != before;
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
