/*
 * A TLS server in the same process as the conn that connects to it, stepped by hand: it holds its bytes in memory and
 * moves at most so many between there and the socket in a step. What it decrypts is checked to be pattern().
 */
#pragma once

#include "conn_case.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/un.h>

#include "cert_case.h"
#include "proxy/net/tls.h"

#define HOST "redis.corp.example"

enum { ALL = 1 << 20, MOST_TURNS = 200000 };

struct server_recipe {
    const struct identity *identity, *chain; /* chain: a further certificate sent with it */
    int max_version;                         /* 0: the newest */
    const char *ciphers;                     /* up to TLS 1.2; NULL: all */
    const struct identity *client_ca;        /* clients must show a certificate of it */
    unsigned fragment;                       /* most plain bytes in a record; 0: as usual */
};

struct server {
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out;
    struct end *end; /* who is connected to it */
    size_t out_sent; /* of what lies in `out` */
    uint64_t sent;
    uint64_t decrypted; /* application bytes */
    bool said_goodbye;  /* the conn did */
    char sni[64];
};

static struct identity ca, good;
static struct server server;

static int start_certs(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as main does */
    if (pem_start() < 0)
        return -1;
    ca = identity_new(&(struct recipe){.cn = "Test CA", .is_ca = true});
    good = identity_new(&(struct recipe){.cn = "good", .san = "DNS:" HOST ",IP:127.0.0.1", .issuer = &ca});
    pem_write_cert("ca.pem", &ca);
    return 0;
}

static int finish_certs(void **state)
{
    (void)state;
    identity_free(&ca);
    identity_free(&good);
    pem_finish();
    return 0;
}

static inline struct tls_context *trust(const char *host)
{
    struct tls_settings settings = {
        .host = host, .ca_file = pem_path("ca.pem"), .cert_file = "", .key_file = "", .min_version = 12};
    char error[256];
    struct tls_context *context = tls_context_new(&settings, error, sizeof error);
    assert_non_null(context);
    return context;
}

static void server_init(const struct server_recipe *recipe)
{
    memset(&server, 0, sizeof server);
    server.context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_security_level(server.context, 0);
    SSL_CTX_set_min_proto_version(server.context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(server.context, recipe->max_version);
    SSL_CTX_set_session_id_context(server.context, (const unsigned char *)"test", 4);
    assert_int_equal(SSL_CTX_set_cipher_list(server.context, recipe->ciphers ? recipe->ciphers : "ALL:eNULL"), 1);
    if (recipe->identity) {
        assert_int_equal(SSL_CTX_use_certificate(server.context, recipe->identity->cert), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(server.context, recipe->identity->key), 1);
    }
    if (recipe->chain)
        assert_int_equal(SSL_CTX_add1_chain_cert(server.context, recipe->chain->cert), 1);
    if (recipe->fragment)
        SSL_CTX_set_max_send_fragment(server.context, recipe->fragment);
    if (recipe->client_ca) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(server.context), recipe->client_ca->cert);
        SSL_CTX_set_verify(server.context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
}

static void server_hang_up(void)
{
    SSL_free(server.ssl);
    server.ssl = NULL;
}

static void server_finish(void)
{
    server_hang_up();
    SSL_CTX_free(server.context);
    memset(&server, 0, sizeof server);
}

/* Makes a new end that connects to the server; the server keeps its sessions from one to the next. */
static struct end *connect_end(struct end *end, struct tls_context *context)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t len = sizeof address.sun_family;
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0); /* the kernel chooses an abstract name */
    len = sizeof address;
    getsockname(listener, (struct sockaddr *)&address, &len);
    assert_int_equal(listen(listener, 1), 0);
    conn_use_tls(&end->conn, context);
    assert_true(conn_connect(&end->conn, (struct sockaddr *)&address, len));
    end->peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    close(listener);
    server_hang_up();
    server.end = end;
    server.sent = server.decrypted = server.out_sent = 0;
    server.said_goodbye = false;
    server.sni[0] = '\0';
    server.ssl = SSL_new(server.context);
    server.in = BIO_new(BIO_s_mem());
    server.out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(server.in, -1);
    SSL_set_bio(server.ssl, server.in, server.out);
    SSL_set_accept_state(server.ssl);
    return end;
}

static void server_decrypt(void)
{
    uint8_t bytes[20000];
    int n;

    ERR_clear_error();
    if (!SSL_is_init_finished(server.ssl) && SSL_do_handshake(server.ssl) != 1)
        return;
    const char *sni = SSL_get_servername(server.ssl, TLSEXT_NAMETYPE_host_name);
    snprintf(server.sni, sizeof server.sni, "%s", sni ? sni : "");
    while ((n = SSL_read(server.ssl, bytes, sizeof bytes)) > 0) {
        for (int i = 0; i < n; i++)
            assert_int_equal(bytes[i], pattern(server.decrypted + (uint64_t)i));
        server.decrypted += (uint64_t)n;
    }
    if (SSL_get_error(server.ssl, n) == SSL_ERROR_ZERO_RETURN)
        server.said_goodbye = true;
}

/* Up to `most_in` bytes from the socket, then up to `most_out` to it. */
static void server_step(size_t most_in, size_t most_out)
{
    static uint8_t bytes[ALL];
    char *waiting;

    ssize_t n = most_in ? recv(server.end->peer, bytes, most_in, 0) : 0;
    if (n > 0)
        BIO_write(server.in, bytes, (int)n);
    server_decrypt();
    size_t len = (size_t)BIO_get_mem_data(server.out, &waiting) - server.out_sent;
    n = send(server.end->peer, waiting + server.out_sent, len < most_out ? len : most_out, MSG_NOSIGNAL);
    server.out_sent += n > 0 ? (size_t)n : 0;
    if (n > 0 && (size_t)n == len) {
        (void)BIO_reset(server.out);
        server.out_sent = 0;
    }
}

/* One record of the pattern's next bytes, into the server's memory. */
static inline void server_write(size_t len)
{
    uint8_t bytes[TLS_RECORD_MAX];

    for (size_t i = 0; i < len; i++)
        bytes[i] = pattern(server.sent + i);
    assert_int_equal(SSL_write(server.ssl, bytes, (int)len), len);
    server.sent += len;
}

static inline void end_write(struct end *end, uint64_t at, size_t len)
{
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = pattern(at + i);
    conn_write(&end->conn, bytes, len);
    free(bytes);
}

/* Turns of the loop and steps of the server until it holds. */
#define until_in_pieces(most_in, most_out, condition)                                                                  \
    do {                                                                                                               \
        for (unsigned turns = 0; turns < MOST_TURNS && !(condition); turns++) {                                        \
            turn();                                                                                                    \
            server_step((most_in), (most_out));                                                                        \
        }                                                                                                              \
        assert_true(condition);                                                                                        \
    } while (0)
#define until(condition) until_in_pieces(ALL, ALL, condition)

/* The loop would sleep: what the conn waits for has not come. */
static inline void assert_calm(const struct end *end)
{
    struct pollfd asked = {.fd = end->conn.fd};

    for (int i = 0; i < 10; i++)
        turn();
    asked.events = (short)((end->conn.armed_read ? POLLIN : 0) | (end->conn.armed_write ? POLLOUT : 0));
    assert_false(end->conn.is_ready);
    assert_false(end->conn.is_dirty);
    assert_int_equal(poll(&asked, asked.events ? 1 : 0, 0), 0);
}

static inline void end_close(struct end *end)
{
    conn_close(&end->conn);
    if (end->peer >= 0)
        close(end->peer);
    end->peer = -1;
}

static int finish_tls(void **state)
{
    server_finish();
    return finish_loop(state);
}

#define tls_test(function) cmocka_unit_test_setup_teardown(function, start_loop, finish_tls)
