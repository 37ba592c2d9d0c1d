/* Whom a TLS connection trusts: every refusal has words of its own, and the refused is told not one byte. */
#include "tls_case.h"

static struct end *refused_end(void)
{
    static struct end end;
    end_init(&end, LOOP_FLUSH_FIRST);
    return &end;
}

/* `what` NULL: it must not be refused. */
static void expect(const struct server_recipe *recipe, const char *host, const char *what)
{
    struct tls_context *context = trust(host);
    struct end *end = refused_end();

    server_init(recipe);
    connect_end(end, context);
    end_write(end, 0, 100); /* as a password would be waiting */
    until(end->losses || server.decrypted);
    if (what) {
        assert_string_equal(end->reason, what);
        assert_int_equal(server.decrypted, 0);
        assert_int_equal(end->conn.written, 0);
        assert_int_equal(end->connects, 0);
    } else {
        assert_int_equal(end->losses, 0);
        assert_int_equal(end->connects, 1);
    }
    end_close(end);
    server_finish();
    tls_context_unref(context);
}

static void expect_of_cert(const struct recipe *recipe, const char *host, const char *what)
{
    struct identity made = identity_new(recipe);
    expect(&(struct server_recipe){.identity = &made}, host, what);
    expect(&(struct server_recipe){.identity = &made, .max_version = TLS1_2_VERSION}, host, what);
    identity_free(&made);
}

#define leaf(...) (&(struct recipe){.cn = HOST, .issuer = &ca, __VA_ARGS__})

static void test_accepted(void **state)
{
    (void)state;
    expect_of_cert(leaf(.san = "DNS:" HOST), HOST, NULL);
    expect_of_cert(leaf(.san = "DNS:" HOST), HOST ".", NULL);
    expect_of_cert(leaf(.san = "DNS:*.corp.example"), HOST, NULL);
    expect_of_cert(leaf(.san = "DNS:a.example,IP:127.0.0.1"), "127.0.0.1", NULL);
    expect_of_cert(leaf(.san = "IP:0:0:0:0:0:0:0:1"), "::1", NULL);
    expect_of_cert(leaf(.san = "DNS:" HOST, .rsa_bits = 2048), HOST, NULL);
    expect_of_cert(leaf(.san = "DNS:" HOST, .eku = "serverAuth"), HOST, NULL);
}

static void test_refused_for_its_date(void **state)
{
    (void)state;
    expect_of_cert(leaf(.san = "DNS:" HOST, .to = "20260102030405Z"), HOST, "certificate expired on 2026-01-02");
    expect_of_cert(leaf(.san = "DNS:" HOST, .from = "29980304050607Z"), HOST,
                   "certificate is not valid before 2998-03-04");
}

static void test_refused_for_its_name(void **state)
{
    (void)state;
    expect_of_cert(leaf(.san = "DNS:a.example"), HOST, "certificate is for a.example, not for " HOST);
    expect_of_cert(leaf(.san = "DNS:a.example,DNS:b.example,DNS:c.example,DNS:d.example,DNS:e.example"), HOST,
                   "certificate is for a.example, b.example, c.example and 2 more, not for " HOST);
    expect_of_cert(leaf(.san = NULL), HOST, "certificate names only a common name");
    expect_of_cert(leaf(.san = "email:a@b.example"), HOST, "certificate names no host");
    expect_of_cert(leaf(.san = "DNS:red*.corp.example"), HOST, "certificate is for red*.corp.example, not for " HOST);
    expect_of_cert(leaf(.san = "DNS:*.corp.example"), "a." HOST, "certificate is for *.corp.example, not for a." HOST);
    expect_of_cert(leaf(.san = "IP:10.0.0.1,IP:2001:db8::1"), "10.0.0.2",
                   "certificate is for 10.0.0.1, 2001:db8::1, not for 10.0.0.2");
    expect_of_cert(leaf(.san = "DNS:10.0.0.2"), "10.0.0.2", "certificate is for 10.0.0.2, not for 10.0.0.2");
    expect_of_cert(leaf(.san = "IP:127.0.0.1"), HOST, "certificate is for 127.0.0.1, not for " HOST);
}

/* What the other side writes into a certificate is cut, and cannot forge a line. */
static void test_hostile_name(void **state)
{
    char san[600] = "DNS:a\n\x1b%n", reason[TLS_REASON_LEN] = "certificate is for a??%n";
    (void)state;

    for (unsigned i = 0; i < 400; i++)
        strcat(san, "x");
    for (unsigned i = 0; i < 59; i++)
        strcat(reason, "x");
    strcat(reason, ", not for " HOST);
    expect_of_cert(leaf(.san = san), HOST, reason);
}

static void test_refused_for_its_signer(void **state)
{
    struct identity unknown = identity_new(&(struct recipe){.cn = "Unknown CA", .is_ca = true});
    struct identity old =
        identity_new(&(struct recipe){.cn = "old", .is_ca = true, .issuer = &ca, .to = "20250102000000Z"});
    struct identity of_unknown = identity_new(&(struct recipe){.cn = "x", .san = "DNS:" HOST, .issuer = &unknown});
    struct identity of_old = identity_new(&(struct recipe){.cn = "x", .san = "DNS:" HOST, .issuer = &old});
    struct identity of_leaf = identity_new(&(struct recipe){.cn = "x", .san = "DNS:" HOST, .issuer = &good});
    (void)state;

    expect_of_cert(&(struct recipe){.cn = HOST, .san = "DNS:" HOST}, HOST, "certificate is self-signed");
    expect(&(struct server_recipe){.identity = &of_unknown}, HOST, "certificate is signed by an unknown CA");
    expect(&(struct server_recipe){.identity = &of_unknown, .chain = &unknown}, HOST,
           "certificate is signed by an unknown CA");
    expect(&(struct server_recipe){.identity = &of_old, .chain = &old}, HOST, "CA certificate expired on 2025-01-02");
    expect(&(struct server_recipe){.identity = &of_leaf, .chain = &good}, HOST,
           "CA certificate is used as a CA but is none");
    identity_free(&unknown), identity_free(&old), identity_free(&of_unknown), identity_free(&of_old);
    identity_free(&of_leaf);
}

static void test_refused_for_weakness(void **state)
{
    (void)state;
    expect_of_cert(leaf(.san = "DNS:" HOST, .rsa_bits = 1024), HOST, "certificate key is too weak");
    expect_of_cert(leaf(.san = "DNS:" HOST, .sha1 = true), HOST, "certificate signature is too weak");
    expect_of_cert(leaf(.san = "DNS:" HOST, .eku = "clientAuth"), HOST, "certificate is not for servers");
}

static void test_refused_for_its_protocol(void **state)
{
    struct identity rsa = identity_new(leaf(.san = "DNS:" HOST, .rsa_bits = 2048));
    struct server_recipe recipe = {.identity = &rsa, .max_version = TLS1_1_VERSION};
    (void)state;

    expect(&recipe, HOST, "backend speaks no TLS >= 1.2");
    recipe.max_version = TLS1_2_VERSION;
    recipe.ciphers = "eNULL";
    expect(&recipe, HOST, "no common cipher");
    recipe.ciphers = "aNULL";
    expect(&recipe, HOST, "no common cipher");
    identity_free(&rsa);
}

static void expect_of_bytes(const char *bytes, bool then_end, const char *what)
{
    struct tls_context *context = trust(HOST);
    struct end *end = refused_end();

    server_init(&(struct server_recipe){.identity = &good});
    connect_end(end, context);
    end_write(end, 0, 100);
    turn();
    assert_int_equal(send(end->peer, bytes, strlen(bytes), 0), strlen(bytes));
    if (then_end)
        shutdown(end->peer, SHUT_WR);
    turn();
    turn();
    assert_string_equal(end->reason, what);
    assert_int_equal(end->conn.written, 0);
    end_close(end);
    server_finish();
    tls_context_unref(context);
}

static void test_no_tls_at_all(void **state)
{
    (void)state;
    expect_of_bytes("-ERR unknown command\r\n", false, "backend speaks plain text, not TLS");
    expect_of_bytes("-", false, "backend speaks plain text, not TLS");
    expect_of_bytes("HTTP/1.1 400 Bad Request\r\n\r\n", true, "backend speaks plain text, not TLS");
    expect_of_bytes("", true, "connection ended within the handshake");
    expect_of_bytes("\x16\x03\x03", true, "connection ended within the handshake");
}

static void test_reset_within_the_handshake(void **state)
{
    struct tls_context *context = trust(HOST);
    struct end *end = refused_end();
    (void)state;

    server_init(&(struct server_recipe){.identity = &good});
    connect_end(end, context);
    turn();
    close(end->peer); /* with the hello unread: a reset */
    end->peer = -1;
    turn();
    assert_string_equal(end->reason, "Connection reset by peer within the handshake");
    end_close(end);
    tls_context_unref(context);
}

/* A backend that stays silent costs nothing but its owner's patience. */
static void test_stalled_handshake(void **state)
{
    struct tls_context *context = trust(HOST);
    struct end *end = refused_end();
    (void)state;

    server_init(&(struct server_recipe){.identity = &good});
    connect_end(end, context);
    turn();
    assert_true(end->conn.connecting);
    assert_true(end->conn.handshaking);
    assert_calm(end);
    until_in_pieces(ALL, 1, BIO_pending(server.out) - (long)server.out_sent == 100);
    assert_calm(end);
    assert_true(end->conn.handshaking);
    assert_int_equal(end->losses + end->connects, 0);
    end_close(end);
    tls_context_unref(context);
}

static void test_min_version_13(void **state)
{
    struct tls_settings settings = {
        .host = HOST, .ca_file = pem_path("ca.pem"), .cert_file = "", .key_file = "", .min_version = 13};
    char error[256];
    struct tls_context *context = tls_context_new(&settings, error, sizeof error);
    struct end *end = refused_end();
    (void)state;

    assert_non_null(context);
    server_init(&(struct server_recipe){.identity = &good, .max_version = TLS1_2_VERSION});
    connect_end(end, context);
    until(end->losses);
    assert_string_equal(end->reason, "backend speaks no TLS >= 1.3");
    end_close(end);
    tls_context_unref(context);
}

/* With what each way of verifying still finds wrong. */
static void test_lesser_verification(void **state)
{
    struct identity other = identity_new(leaf(.san = "DNS:a.example"));
    struct identity self = identity_new(&(struct recipe){.cn = "x", .san = "DNS:a.example"});
    const struct {
        enum tls_verify verify;
        const struct identity *identity;
        const char *refusal;
    } cases[] = {
        {TLS_VERIFY_CHAIN, &other, ""},
        {TLS_VERIFY_CHAIN, &self, "certificate is self-signed"},
        {TLS_VERIFY_NONE, &self, ""},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tls_settings settings = {.host = HOST, .ca_file = pem_path("ca.pem"), .cert_file = "", .key_file = ""};
        char error[256];
        settings.verify = cases[i].verify;
        settings.min_version = 12;
        struct tls_context *context = tls_context_new(&settings, error, sizeof error);
        struct end *end = refused_end();
        server_init(&(struct server_recipe){.identity = cases[i].identity});
        connect_end(end, context);
        until(end->losses || end->connects);
        assert_string_equal(end->reason, cases[i].refusal);
        end_close(end);
        server_finish();
        tls_context_unref(context);
    }
    identity_free(&other);
    identity_free(&self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        tls_test(test_accepted),
        tls_test(test_refused_for_its_date),
        tls_test(test_refused_for_its_name),
        tls_test(test_hostile_name),
        tls_test(test_refused_for_its_signer),
        tls_test(test_refused_for_weakness),
        tls_test(test_refused_for_its_protocol),
        tls_test(test_no_tls_at_all),
        tls_test(test_reset_within_the_handshake),
        tls_test(test_stalled_handshake),
        tls_test(test_min_version_13),
        tls_test(test_lesser_verification),
    };
    return cmocka_run_group_tests_name("tls", tests, start_certs, finish_certs);
}
