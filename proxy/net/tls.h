/*
 * TLS for backend connections, on OpenSSL: what to trust (tls_context), and one connection's session beneath a conn.
 *
 * Always verified: the chain against the trusted CAs and the certificate's subject alternative name against the host of
 * the URL (RFC 6125; an IP address against an IP entry, RFC 5280 4.2.1.6), unless `verify` says otherwise; the common
 * name alone never counts. SNI is sent for names, not for addresses (RFC 6066 section 3). At least TLS 1.2.
 *
 * A context is immutable and shared by all threads; it is counted, because a reload replaces it while connections still
 * use it. Sessions are kept for resumption per context, so none survives a change of what is trusted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum tls_verify {
    TLS_VERIFY_FULL,  /* chain and name */
    TLS_VERIFY_CHAIN, /* chain only */
    TLS_VERIFY_NONE,  /* anything: said loudly at every start */
};

struct tls_settings {
    const char *host;    /* the name or address that must be in the certificate */
    const char *ca_file; /* PEM; "system" for the machine's store */
    const char *cert_file, *key_file; /* our own certificate; "" for none */
    enum tls_verify verify;
    unsigned min_version; /* 12 or 13 */
};

struct tls_context;

/* NULL with the reason (which file, what is wrong) in `error`. */
struct tls_context *tls_context_new(const struct tls_settings *settings, char *error, size_t error_len);
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context); /* NULL is fine; any thread */

struct tls; /* one connection; owned by its conn */

struct tls *tls_new(struct tls_context *context, int fd);
void tls_free(struct tls *tls); /* NULL is fine */

enum tls_result { TLS_DONE, TLS_WANTS_READ, TLS_WANTS_WRITE, TLS_FAILED };

/* One step of the handshake; on TLS_FAILED, tls_reason() says why in words of its own for each kind of refusal. */
enum tls_result tls_handshake(struct tls *tls);
const char *tls_reason(const struct tls *tls);
bool tls_was_resumed(const struct tls *tls);

/*
 * As recv(2) and send(2): bytes, 0 at an orderly end (close_notify), -1 with errno EAGAIN or another. An end of the TCP
 * stream without close_notify is an error (truncation), not an end. *wants_write: a read that must wait for room to
 * write; a write that must wait for input is retried when input has come.
 */
ssize_t tls_recv(struct tls *tls, void *bytes, size_t len);
ssize_t tls_send(struct tls *tls, const void *bytes, size_t len);
bool tls_wants_write(const struct tls *tls); /* the last tls_recv() or handshake step waits for room to write */
bool tls_wants_read(const struct tls *tls);  /* the last tls_send() waits for input */
bool tls_has_pending(const struct tls *tls); /* decrypted bytes wait that no readiness will announce */
