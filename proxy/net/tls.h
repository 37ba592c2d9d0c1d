/*
 * TLS for backend connections, on OpenSSL: what to trust (tls_context), and one connection's session beneath a conn.
 *
 * Always verified, unless `verify` says otherwise: the chain against the trusted CAs, and the certificate's subject
 * alternative names against the host of the URL (RFC 6125; an address against an address, RFC 5280 4.2.1.6). A common
 * name never counts. SNI is sent for names, not for addresses (RFC 6066 section 3). At least TLS 1.2.
 *
 * A context is immutable, shared by all threads, and counted, because a reload replaces it while connections still use
 * it. Its sessions are kept for resumption, so none survives a change of what is trusted.
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
    const char *host;                 /* the name or address that must be in the certificate */
    const char *ca_file;              /* PEM; "system" for the machine's store */
    const char *cert_file, *key_file; /* our own certificate; "" for none */
    enum tls_verify verify;
    unsigned min_version; /* 12 or 13 */
};

struct tls_context;

/* NULL with the reason (which file, what is wrong) in `error`. All files are read here. */
struct tls_context *tls_context_new(const struct tls_settings *settings, char *error, size_t error_len);
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context); /* NULL is fine; any thread */

enum {
    TLS_RECORD_MAX = 16384, /* plain bytes in one record (RFC 8446 section 5.1) */
    TLS_REASON_LEN = 320,
};

struct tls; /* one connection; owned by its conn */

struct tls *tls_new(struct tls_context *context);
/* Says goodbye (close_notify) if that takes no waiting. To be called before close(2). NULL is fine. */
void tls_free(struct tls *tls);

/* To be called before tls_start(): the handshake will be a whole one, in which the backend shows its certificate. */
void tls_forgo_session(struct tls *tls);

enum tls_result { TLS_DONE, TLS_WAITS, TLS_FAILED }; /* waits: for input, and for room if tls_has_unsent() */

/* Begins on a connected, non-blocking socket. False: out of memory. */
bool tls_start(struct tls *tls, int fd);
/* One step of the handshake; on TLS_FAILED, tls_reason() has words of its own for each kind of refusal. */
enum tls_result tls_handshake(struct tls *tls);
const char *tls_reason(const struct tls *tls); /* lives as long as the tls */
bool tls_was_resumed(const struct tls *tls);
/* Until when the backend's certificate is valid, in seconds of the wall clock; 0 when it showed none. */
int64_t tls_certificate_end(const struct tls *tls);

/*
 * As recv(2): bytes, 0 at an orderly end (close_notify), -1 with errno EAGAIN or another and tls_reason(). An end of
 * the stream without close_notify is the error ECONNABORTED, because somebody may have cut it short.
 */
ssize_t tls_recv(struct tls *tls, void *bytes, size_t len);
bool tls_has_pending(const struct tls *tls); /* tls_recv() has something to tell that no readiness will announce */

/*
 * Takes up to TLS_RECORD_MAX bytes, as one record, and returns how many. They count as sent whatever comes: the kernel
 * may have part of the record, and what it did not take is kept here. 0: not one byte was taken, because something is
 * kept already, input must come first (tls_wants_read), or the connection is broken.
 */
size_t tls_send(struct tls *tls, const void *bytes, size_t len);
bool tls_push(struct tls *tls);             /* writes what is kept; true when nothing is any more */
bool tls_has_unsent(const struct tls *tls); /* something is kept; tls_recv() and tls_handshake() may cause it too */
bool tls_wants_read(const struct tls *tls); /* the last tls_send() waits for input: half a message of handshake came */
bool tls_is_broken(const struct tls *tls);
