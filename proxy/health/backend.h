/*
 * A Redis endpoint: where it is, how to log in, what it may cost. Made by main from the configuration, read by all
 * threads, counted: a reload takes it out of use while connections to it still end.
 *
 * Names are resolved on main's thread; others only read the latest addresses and ask for new ones when connecting
 * fails. The last good addresses stay in use when a later look-up fails.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "conf/url.h"
#include "limiter/script.h"
#include "proxy/health/fence.h"
#include "proxy/health/state.h"

struct backend_meter;
struct backend_tally;
struct conn;
struct handshake_meter;
struct tls;
struct tls_context;

enum { BACKEND_ADDRESSES_MAX = 8, BACKEND_METERS_MAX = 64 };

/*
 * Immutable once published; kept until the backend is freed, because another thread may still read it. A set that comes
 * back, as where a name server rotates, is published again and not kept twice.
 */
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
    char *redacted;             /* the URL without its password, for people */
    char *dataset;              /* its label; the backend's name when the configuration gives none */
    bool labelled;              /* the configuration gave one, so the backend's own label is compared */
    bool metered;               /* commands cost money: only free ones are sent by ourselves */
    bool clients_log_in;        /* listen.auth is backend: that it wants a login is nothing against it */
    atomic_uint priority;       /* written by main's thread: a reload may move it, which changes nothing else */
    unsigned trust_level;       /* enum tls_verify; of a plain backend TLS_VERIFY_FULL, which is 0 */
    enum limit_dialect dialect; /* what a limiter's script must look like for it */
    unsigned connections, max_connections; /* per worker */
    uint64_t connect_timeout_ms, command_timeout_ms, idle_timeout_ms;
    uint64_t digest;                               /* over all that was configured: equal means unchanged */
    struct backend_addresses *known;               /* every set that was published; main's thread only */
    _Atomic(struct backend_addresses *) addresses; /* one of them, written by main's thread; NULL until known */
    pthread_mutex_t tls_lock;                      /* guards tls, for the moment of taking a reference */
    struct tls_context *tls;                       /* what to trust, and our own certificate; NULL: plain */
    _Atomic(const char *) resolve_error;           /* why the last look-up failed, a constant; NULL: it did not */
    atomic_bool wants_resolve;                     /* set by workers, cleared by main's thread */
    atomic_uint hints;   /* bits of enum health_cause; set by workers, taken by main's thread */
    atomic_int hint_fd;  /* eventfd that is written when a hint is new; -1: nobody listens. Written by main's thread */
    atomic_uint replies; /* seen on the data path since the last look; set by workers, taken by main's thread */
    struct fence fence;  /* the backend's clock, and until when it is not left */
    _Atomic int64_t certificate_end_s; /* of the one it showed last, wall clock; whoever saw it writes. 0: none yet */
    _Atomic(struct backend_meter *) meters[BACKEND_METERS_MAX]; /* by worker, each written by that worker; NULL: none */
    struct backend_tally *tally;                                /* of checks and choices; main's thread only */
    atomic_uint refs;
};

/* `url` must parse. Unix paths and numeric hosts have their address at once. One reference is the caller's. */
struct backend *backend_new(const char *name, const char *url);
struct backend *backend_ref(struct backend *backend);
void backend_unref(struct backend *backend); /* NULL is fine; any thread */

/* Takes over the caller's reference to `tls`; what was trusted before ends with its last connection. Any thread. */
void backend_set_tls(struct backend *backend, struct tls_context *tls);
/* A reference to what a new connection shall use, NULL for a plain one. Any thread. */
struct tls_context *backend_tls(struct backend *backend);
/* Has `conn` use it. */
void backend_use_tls(struct backend *backend, struct conn *conn);
/* A handshake came to its good end: counts it, and keeps what the certificate says. `meter` is the caller's thread's.
 */
void backend_note_handshake(struct backend *backend, struct handshake_meter *meter, const struct tls *tls);

/* Takes over `addresses`. False when they are those in use. Main's thread. */
bool backend_set_addresses(struct backend *backend, struct backend_addresses *addresses);

/* The meter of worker `index`, made when it is new; never NULL. That worker's thread, or main before it runs. */
struct backend_meter *backend_meter(struct backend *backend, unsigned index);

/* Asks for new addresses, from any thread. */
void backend_ask_resolve(struct backend *backend);

/* The data path met trouble (CAUSE_LOST, ...): a check is due. Any thread; cheap when nothing is new. */
void backend_hint(struct backend *backend, enum health_cause cause);
