#include "proxy/net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/net/log.h"
#include "proxy/net/tls_parts.h"

enum {
    MESSAGES_MAX = 64,  /* of handshake without data between them: tickets and new keys come by ones and twos */
    UNSENT_MAX = 65536, /* a record of ours, and answers to new keys that nobody reads */
    RECORD_OF_ALERT = 21,
    RECORD_OF_HANDSHAKE = 22,
};

void tls_out_of_memory(size_t len)
{
    log_write(LOG_ERROR, "out of memory", LOG_NUM("bytes", len));
    abort();
}

struct tls *tls_new(struct tls_context *context)
{
    struct tls *tls = calloc(1, sizeof(*tls));

    if (!tls)
        tls_out_of_memory(sizeof(*tls));
    tls->context = tls_context_ref(context);
    return tls;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    if ((tls->state == TLS_OPEN || tls->state == TLS_ENDED) && !tls->unsent_len) {
        SSL_shutdown(tls->ssl);
        ERR_clear_error();
    }
    SSL_free(tls->ssl);
    free(tls->unsent);
    tls_context_unref(tls->context);
    free(tls);
}

static bool set_wire(struct tls *tls)
{
    BIO *wire = BIO_new(tls->context->wire);

    if (!wire)
        return false;
    BIO_set_data(wire, tls);
    SSL_set0_wbio(tls->ssl, wire);
    return SSL_set_rfd(tls->ssl, tls->fd);
}

bool tls_start(struct tls *tls, int fd)
{
    const struct tls_context *context = tls->context;

    ERR_clear_error();
    tls->fd = fd;
    tls->ssl = SSL_new(context->ssl);
    if (!tls->ssl || !set_wire(tls) ||
        (!context->host_is_address && !SSL_set_tlsext_host_name(tls->ssl, context->host))) {
        snprintf(tls->reason, sizeof(tls->reason), "out of memory");
        return false;
    }
    SSL_set_app_data(tls->ssl, tls);
    SSL_set_connect_state(tls->ssl);
    SSL_SESSION *session = tls_take_session(tls->context);
    if (session)
        SSL_set_session(tls->ssl, session);
    SSL_SESSION_free(session);
    return true;
}

/* --- what went wrong --- */

static const char reason_plain_text[] = "backend speaks plain text, not TLS";

static void break_off(struct tls *tls, int error, const char *reason)
{
    tls->state = TLS_BROKEN;
    tls->error = error;
    if (!tls->reason[0])
        snprintf(tls->reason, sizeof(tls->reason), "%s", reason);
}

static const char *plain_words(int reason)
{
    switch (reason) {
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    case SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY:
    case SSL_R_WRONG_CIPHER_RETURNED:
    case SSL_R_UNKNOWN_CIPHER_RETURNED:
        return "no common cipher";
    case SSL_R_DH_KEY_TOO_SMALL:
        return "key exchange is too weak";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return "backend wants a client certificate";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        return "backend does not know the CA of our certificate";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        return "backend says that our certificate has expired";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
        return "backend refuses our certificate";
    case SSL_R_TLSV1_UNRECOGNIZED_NAME:
        return "backend does not know the name in the URL";
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
        return "a record was altered on its way";
    default:
        return NULL;
    }
}

static bool is_about_version(int reason)
{
    return reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_WRONG_SSL_VERSION ||
           reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION || reason == SSL_R_VERSION_TOO_LOW;
}

static void explain_protocol_error(struct tls *tls, unsigned long error)
{
    const char *words = ERR_GET_LIB(error) == ERR_LIB_SSL ? plain_words(ERR_GET_REASON(error)) : NULL;
    char text[TLS_REASON_LEN];

    /* No record of TLS at all, which came between our look at the first byte and OpenSSL's. */
    if (!tls->answered && ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER)
        words = reason_plain_text;
    if (words)
        snprintf(text, sizeof(text), "%s", words);
    else if (ERR_GET_LIB(error) == ERR_LIB_SSL && is_about_version(ERR_GET_REASON(error)))
        snprintf(text, sizeof(text), "backend speaks no TLS >= 1.%u", tls->context->min_version - 10);
    else
        snprintf(text, sizeof(text), "TLS error: %s", error ? ERR_reason_error_string(error) : "not known");
    break_off(tls, EPROTO, text);
}

/* The stream ended or broke beneath TLS; error 0 is an end. */
static void explain_loss(struct tls *tls, int error)
{
    bool in_handshake = tls->state == TLS_HANDSHAKE;
    char text[TLS_REASON_LEN];

    /* Refusals of TLS 1.3 come after our side of the handshake, and a reset may overtake the alert. */
    if (tls->cert_was_asked && !tls->got_data)
        break_off(tls, error ? error : ECONNABORTED, "backend wants a client certificate");
    else if (!error)
        break_off(tls, ECONNABORTED,
                  in_handshake ? "connection ended within the handshake" : "connection ended without close_notify");
    else {
        snprintf(text, sizeof(text), "%s%s", strerror(error), in_handshake ? " within the handshake" : "");
        break_off(tls, error, text);
    }
}

/* What the call that returned `n` waits for, or why it failed; errno is still that of the call. */
static enum tls_result outcome(struct tls *tls, int n)
{
    int error = errno, kind = SSL_get_error(tls->ssl, n);
    unsigned long first = ERR_peek_error();

    if (kind == SSL_ERROR_WANT_READ)
        return TLS_WAITS;
    if (kind == SSL_ERROR_ZERO_RETURN && tls->state != TLS_HANDSHAKE)
        tls->state = TLS_ENDED;
    else if (kind == SSL_ERROR_SYSCALL)
        explain_loss(tls, error);
    else if (kind == SSL_ERROR_ZERO_RETURN ||
             (ERR_GET_LIB(first) == ERR_LIB_SSL && ERR_GET_REASON(first) == SSL_R_UNEXPECTED_EOF_WHILE_READING))
        explain_loss(tls, 0);
    else if (tls->cert_was_asked && ERR_GET_LIB(first) == ERR_LIB_SSL &&
             ERR_GET_REASON(first) == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE)
        break_off(tls, EPROTO, "backend wants a client certificate"); /* TLS 1.2 has no alert of its own for it */
    else
        explain_protocol_error(tls, first);
    return TLS_FAILED;
}

static void before_call(void)
{
    ERR_clear_error();
    errno = 0;
}

/* --- handshake --- */

/* Looks at the first byte without taking it: OpenSSL would only say that a version number is wrong. */
static void look_at_answer(struct tls *tls)
{
    uint8_t first;
    ssize_t n = recv(tls->fd, &first, 1, MSG_PEEK);

    if (n < 0 && errno != EAGAIN && errno != EINTR)
        explain_loss(tls, errno); /* it is told only once */
    else if (n > 0 && first != RECORD_OF_HANDSHAKE && first != RECORD_OF_ALERT)
        break_off(tls, EPROTO, reason_plain_text);
    tls->answered = n > 0;
}

enum tls_result tls_handshake(struct tls *tls)
{
    tls_push(tls);
    if (!tls->answered)
        look_at_answer(tls);
    if (tls->state == TLS_BROKEN)
        return TLS_FAILED;
    before_call();
    int n = SSL_do_handshake(tls->ssl);
    if (n != 1) {
        enum tls_result result = outcome(tls, n);

        /* What came since the look is taken by now, and the next byte on the socket is not the first one. */
        tls->answered = tls->answered || BIO_number_read(SSL_get_rbio(tls->ssl)) > 0;
        return result;
    }
    tls->state = TLS_OPEN;
    tls->drained = false; /* the handshake ends with new keys: see read_record() */
    return TLS_DONE;
}

const char *tls_reason(const struct tls *tls)
{
    return tls->reason;
}

bool tls_was_resumed(const struct tls *tls)
{
    return tls->ssl && SSL_session_reused(tls->ssl);
}

/* --- input --- */

/* False when there is nothing more for now, or ever. */
static bool read_record(struct tls *tls, uint8_t *bytes, size_t room, size_t *len)
{
    unsigned messages = tls->messages;

    before_call();
    bool got = SSL_read_ex(tls->ssl, bytes, room, len);
    if (got) {
        tls->messages = 0;
        tls->got_data = true;
    } else {
        outcome(tls, 0);
    }
    /* What OpenSSL 3.2 or later has read ahead of a new key, it does not call pending: behind a message, look again. */
    tls->drained = got ? !SSL_has_pending(tls->ssl) : tls->messages == messages;
    if (tls->messages > MESSAGES_MAX || tls->unsent_len > UNSENT_MAX)
        break_off(tls, EPROTO, "backend floods us with handshake messages");
    return got;
}

ssize_t tls_recv(struct tls *tls, void *bytes, size_t len)
{
    size_t got = 0, n = 0;

    while (tls->state == TLS_OPEN && got < len && read_record(tls, (uint8_t *)bytes + got, len - got, &n)) {
        got += n;
        if (tls->drained)
            break;
    }
    if (got)
        return (ssize_t)got;
    if (tls->state == TLS_ENDED)
        return 0;
    errno = tls->state == TLS_BROKEN ? tls->error : EAGAIN;
    return -1;
}

bool tls_has_pending(const struct tls *tls)
{
    return !tls->drained || tls->state != TLS_OPEN;
}

/* --- output --- */

bool tls_push(struct tls *tls)
{
    if (tls->state != TLS_BROKEN && !tls_wire_push(tls))
        explain_loss(tls, errno);
    return !tls->unsent_len;
}

size_t tls_send(struct tls *tls, const void *bytes, size_t len)
{
    size_t n = len < TLS_RECORD_MAX ? len : TLS_RECORD_MAX;

    tls->write_wants_read = false;
    if (!tls_push(tls) || tls->state == TLS_BROKEN)
        return 0;
    before_call();
    if (SSL_write_ex(tls->ssl, bytes, n, &n))
        return n; /* all: it fits into one record */
    int error = errno;
    if (outcome(tls, 0) == TLS_WAITS) {
        tls->write_wants_read = true;
        return 0;
    }
    if (tls->state != TLS_BROKEN)
        explain_loss(tls, error); /* the backend's goodbye hides what is wrong with our writing */
    return n;
}

bool tls_has_unsent(const struct tls *tls)
{
    return tls->unsent_len && tls->state != TLS_BROKEN;
}

bool tls_wants_read(const struct tls *tls)
{
    return tls->write_wants_read;
}

bool tls_is_broken(const struct tls *tls)
{
    return tls->state == TLS_BROKEN;
}
