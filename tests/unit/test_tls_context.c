/* What a context is made of: files that are wrong, each with its own words, and our own certificate. */
#include "tls_case.h"

static struct tls_context *make(const char *ca_file, const char *cert_file, const char *key_file,
                                char error[static 512])
{
    struct tls_settings settings = {.host = HOST, .min_version = 12};

    settings.ca_file = ca_file;
    settings.cert_file = *cert_file ? pem_path(cert_file) : "";
    settings.key_file = *key_file ? pem_path(key_file) : "";
    return tls_context_new(&settings, error, 512);
}

/* `what` follows the directory of the files; with a colon at its end, OpenSSL's own words follow. */
static void expect(const char *ca_file, const char *cert_file, const char *key_file, const char *what)
{
    char error[512], expected[512];

    assert_null(make(pem_path(ca_file), cert_file, key_file, error));
    int len = snprintf(expected, sizeof expected, "%s/%s", pem_dir, what);
    if (expected[len - 1] == ':')
        error[len] = '\0';
    assert_string_equal(error, expected);
}

static void test_ca_file(void **state)
{
    (void)state;
    pem_write_text("empty.pem", "");
    pem_write_text("text.pem", "this is no certificate\n");
    pem_write_text("torn.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    expect("none.pem", "", "", "none.pem: No such file or directory");
    expect("empty.pem", "", "", "empty.pem: holds nothing in PEM form");
    expect("text.pem", "", "", "text.pem: holds nothing in PEM form");
    expect("", "", "", ": Is a directory");
    expect("torn.pem", "", "", "torn.pem: holds no usable CA certificate:");
}

static void test_own_certificate(void **state)
{
    struct identity other = identity_new(&(struct recipe){.cn = "other"});
    struct identity rsa = identity_new(&(struct recipe){.cn = "rsa", .rsa_bits = 2048});
    char what[512];
    (void)state;

    pem_write_cert("own.pem", &good);
    pem_write_key("own.key", &good, NULL);
    pem_write_key("locked.key", &good, "secret");
    pem_write_key("other.key", &other, NULL);
    pem_write_key("rsa.key", &rsa, NULL);
    pem_write_text("text.pem", "this is no certificate\n");
    expect("ca.pem", "own.pem", "", "own.pem: has no key file beside it");
    expect("ca.pem", "", "own.key", "own.key: has no certificate file beside it");
    expect("ca.pem", "none.pem", "own.key", "none.pem: No such file or directory");
    expect("ca.pem", "own.pem", "none.key", "none.key: No such file or directory");
    expect("ca.pem", "text.pem", "own.key", "text.pem: holds nothing in PEM form");
    expect("ca.pem", "own.pem", "text.pem", "text.pem: holds nothing in PEM form");
    expect("ca.pem", "own.key", "own.key", "own.key: holds no usable certificate:");
    expect("ca.pem", "own.pem", "own.pem", "own.pem: holds no usable private key:");
    expect("ca.pem", "own.pem", "locked.key", "locked.key: is locked with a passphrase: give it without");
    snprintf(what, sizeof what, "other.key: is not the key of the certificate in %s", pem_path("own.pem"));
    expect("ca.pem", "own.pem", "other.key", what);
    snprintf(what, sizeof what, "rsa.key: is not the key of the certificate in %s", pem_path("own.pem"));
    expect("ca.pem", "own.pem", "rsa.key", what);
    identity_free(&other);
    identity_free(&rsa);
}

static void test_store_of_the_system(void **state)
{
    char error[512];
    (void)state;

    setenv("SSL_CERT_FILE", pem_path("ca.pem"), 1);
    struct tls_context *context = make("system", "", "", error);
    unsetenv("SSL_CERT_FILE");
    assert_non_null(context);
    server_init(&(struct server_recipe){.identity = &good});
    struct end *end = connect_end(end_new(LOOP_FLUSH_FIRST), context);
    until(end->connects);
    tls_context_unref(context);
}

/* An empty name would switch the check of names off. */
static void test_no_host(void **state)
{
    struct tls_settings settings = {.host = "", .cert_file = "", .key_file = "", .min_version = 12};
    char error[512];
    (void)state;

    settings.ca_file = pem_path("ca.pem");
    assert_null(tls_context_new(&settings, error, sizeof error));
    settings.host = ".";
    assert_null(tls_context_new(&settings, error, sizeof error));
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void test_backend_wants_a_certificate(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct tls_context *context = trust(HOST);
        server_init(&(struct server_recipe){.identity = &good, .client_ca = &ca, .max_version = versions[i]});
        struct end *end = connect_end(end_new(LOOP_FLUSH_FIRST), context);
        until(end->losses);
        assert_string_equal(end->reason, "backend wants a client certificate");
        assert_int_equal(server.decrypted, 0);
        server_finish();
        tls_context_unref(context);
    }
}

/* The tickets hold our certificate, so a message of handshake comes in several records, and we write meanwhile. */
static void test_backend_gets_a_certificate(void **state)
{
    char error[512];
    (void)state;

    pem_write_cert("own.pem", &good);
    pem_write_key("own.key", &good, NULL);
    struct tls_context *context = make(pem_path("ca.pem"), "own.pem", "own.key", error);
    assert_non_null(context);
    for (int i = 0; i < 2; i++) {
        server_init(
            &(struct server_recipe){.identity = &good, .client_ca = &ca, .max_version = versions[i], .fragment = 512});
        struct end *end = connect_end(end_new(LOOP_FLUSH_FIRST), context);
        uint64_t given = 0;
        for (unsigned n = 0; n < 6000; n++) {
            if (given == server.decrypted)
                end_write(end, given++, 1);
            turn();
            server_step(ALL, 1);
        }
        until(server.decrypted == given);
        assert_int_equal(end->losses, 0);
        assert_calm(end);
        server_finish();
    }
    tls_context_unref(context);
}

static void test_backend_refuses_the_certificate(void **state)
{
    struct identity self = identity_new(&(struct recipe){.cn = "self"});
    char error[512];
    (void)state;

    pem_write_cert("self.pem", &self);
    pem_write_key("self.key", &self, NULL);
    struct tls_context *context = make(pem_path("ca.pem"), "self.pem", "self.key", error);
    assert_non_null(context);
    for (int i = 0; i < 2; i++) {
        server_init(&(struct server_recipe){.identity = &good, .client_ca = &ca, .max_version = versions[i]});
        struct end *end = connect_end(end_new(LOOP_FLUSH_FIRST), context);
        until(end->losses);
        assert_string_equal(end->reason, "backend does not know the CA of our certificate");
        server_finish();
    }
    tls_context_unref(context);
    identity_free(&self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        tls_test(test_ca_file),
        tls_test(test_own_certificate),
        tls_test(test_store_of_the_system),
        tls_test(test_no_host),
        tls_test(test_backend_wants_a_certificate),
        tls_test(test_backend_gets_a_certificate),
        tls_test(test_backend_refuses_the_certificate),
    };
    return cmocka_run_group_tests_name("tls_context", tests, start_certs, finish_certs);
}
