/*
 * What tls.c, tls_context.c, tls_verify.c and tls_wire.c share, and nobody else includes.
 *
 *   HANDSHAKE ──tls_handshake: TLS_DONE──> OPEN ──close_notify──> ENDED (may still write)
 *       └───────────────────────────────────┴──────error────────────┴──> BROKEN, with a reason
 *
 * Thread: a tls belongs to its conn's; a context to all, its sessions are under its lock.
 */
#pragma once

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "proxy/net/tls.h"

/* Connections come back together after a loss, and a TLS 1.3 ticket is used once (RFC 8446 appendix C.4). */
enum { TLS_SESSIONS_KEPT = 16 };

struct tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *wire;
    atomic_uint refs;
    char *host; /* without a final dot */
    bool host_is_address;
    unsigned min_version;
    pthread_mutex_t lock;
    SSL_SESSION *sessions[TLS_SESSIONS_KEPT]; /* the newest last */
    unsigned session_count;
};

enum tls_state { TLS_HANDSHAKE, TLS_OPEN, TLS_ENDED, TLS_BROKEN };

struct tls {
    SSL *ssl; /* NULL before tls_start() */
    struct tls_context *context;
    enum tls_state state;
    int fd;
    int error;         /* errno for tls_recv() when BROKEN */
    bool answered : 1; /* the backend's first byte was seen */
    bool got_data : 1;
    bool cert_was_asked : 1; /* the backend asked for a client certificate and we have none */
    bool afresh : 1;         /* no session is resumed */
    bool drained : 1;        /* the last read found nothing more */
    bool write_wants_read : 1;
    unsigned messages; /* of handshake, since the latest data */
    uint8_t *unsent;   /* of records: what the kernel did not take; NULL when unsent_len is 0 */
    size_t unsent_len;
    char reason[TLS_REASON_LEN];
};

/* The newest session that may be resumed, or NULL; the caller frees it. */
SSL_SESSION *tls_take_session(struct tls_context *context);

/* The way to the socket, NULL without memory; its BIOs have a tls as their data. */
BIO_METHOD *tls_wire_new(void);
/* Writes of `unsent` what the kernel takes. False: the connection is lost, errno says why. */
bool tls_wire_push(struct tls *tls);

/* For SSL_CTX_set_verify(): refuses, and says why in the tls. */
int tls_on_verify(int ok, X509_STORE_CTX *store);
