/*
 * How records go to the socket: at once, and what the kernel does not take is kept in `unsent`. So OpenSSL never waits
 * for room to write; it would fail to answer a new key (RFC 8446 section 4.6.3) while half a record waits within it.
 */
#include <errno.h>
#include <openssl/bio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/net/log.h"
#include "proxy/net/tls_parts.h"

static void keep(struct tls *tls, const char *bytes, size_t len)
{
    uint8_t *grown = realloc(tls->unsent, tls->unsent_len + len);

    if (!grown)
        end_out_of_memory(tls->unsent_len + len);
    memcpy(grown + tls->unsent_len, bytes, len);
    tls->unsent = grown;
    tls->unsent_len += len;
}

/* How much the kernel took; -1: it never will. */
static ssize_t send_some(const struct tls *tls, const void *bytes, size_t len)
{
    ssize_t n = send(tls->fd, bytes, len, MSG_NOSIGNAL);

    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

static int on_write(BIO *bio, const char *bytes, int len)
{
    struct tls *tls = BIO_get_data(bio);
    ssize_t n = tls->unsent_len ? 0 : send_some(tls, bytes, (size_t)len);

    if (n < 0)
        return -1;
    if (n < len)
        keep(tls, bytes + n, (size_t)(len - n));
    return len;
}

static long on_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static int on_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *tls_wire_new(void)
{
    BIO_METHOD *wire = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "wire");

    if (wire && BIO_meth_set_write(wire, on_write) && BIO_meth_set_ctrl(wire, on_control) &&
        BIO_meth_set_create(wire, on_create))
        return wire;
    BIO_meth_free(wire);
    return NULL;
}

bool tls_wire_push(struct tls *tls)
{
    if (!tls->unsent_len)
        return true;
    ssize_t n = send_some(tls, tls->unsent, tls->unsent_len);
    if (n < 0)
        return false;
    tls->unsent_len -= (size_t)n;
    memmove(tls->unsent, tls->unsent + n, tls->unsent_len);
    if (!tls->unsent_len) {
        free(tls->unsent);
        tls->unsent = NULL;
    }
    return true;
}
