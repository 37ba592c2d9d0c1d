/* What to trust and how to prove who we are: read once, then only the sessions change. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/net/tls_parts.h"

/* RSA and DH of 2048 bits, no SHA-1 signatures; said here because the machine's openssl.cnf may say less. */
enum { SECURITY_LEVEL = 2 };
static const char ciphers_of_tls12[] = "HIGH:!aNULL:!eNULL:!PSK:!SRP";

struct complaint {
    char *text;
    size_t len;
};

/* --- sessions --- */

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    /* A copy: OpenSSL still changes the connection's own, in its thread. */
    SSL_SESSION *copy = SSL_SESSION_dup(session), *oldest = NULL;

    if (!copy)
        return 0;
    pthread_mutex_lock(&context->lock);
    if (context->session_count == TLS_SESSIONS_KEPT) {
        oldest = context->sessions[0];
        for (unsigned i = 1; i < TLS_SESSIONS_KEPT; i++)
            context->sessions[i - 1] = context->sessions[i];
        context->session_count--;
    }
    context->sessions[context->session_count++] = copy;
    pthread_mutex_unlock(&context->lock);
    SSL_SESSION_free(oldest);
    return 0;
}

SSL_SESSION *tls_take_session(struct tls_context *context)
{
    SSL_SESSION *session = NULL;

    pthread_mutex_lock(&context->lock);
    if (context->session_count) {
        session = context->sessions[context->session_count - 1];
        /* Those of TLS 1.2 may be used again, and a resumed connection may not be given a new one. */
        if (SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION)
            session = SSL_SESSION_dup(session);
        else
            context->session_count--;
    }
    pthread_mutex_unlock(&context->lock);
    return session;
}

/* --- files --- */

static bool complain(const struct complaint *complaint, const char *file, const char *what)
{
    snprintf(complaint->text, complaint->len, "%s: %s", file, what);
    return false;
}

/* OpenSSL says poorly why a file cannot be used, and differently from version to version. */
static bool holds_pem(const char *file, const struct complaint *complaint)
{
    static const char begin[] = "-----BEGIN ";
    FILE *stream = fopen(file, "re");
    char *line = NULL;
    size_t room = 0;
    bool found = false;
    int why = errno;

    if (stream) {
        while (!found && getline(&line, &room, stream) > 0)
            found = !strncmp(line, begin, sizeof(begin) - 1);
        why = ferror(stream) ? errno : 0;
        fclose(stream);
    }
    free(line);
    return found || complain(complaint, file, why ? strerror(why) : "holds nothing in PEM form");
}

static bool complain_of_content(const struct complaint *complaint, const char *file, const char *kind)
{
    const char *why = ERR_reason_error_string(ERR_peek_error());
    char what[160];

    snprintf(what, sizeof(what), "holds no usable %s: %s", kind, why ? why : "not known why");
    return complain(complaint, file, what);
}

static bool has_entries(const char *directory)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;
    bool found = false;

    while (dir && !found && (entry = readdir(dir)))
        found = entry->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return found;
}

/* Without this, an image that lacks ca-certificates would call every certificate one of an unknown CA. */
static bool trust_system(SSL_CTX *ssl, const struct complaint *complaint)
{
    bool told = getenv(X509_get_default_cert_file_env()) || getenv(X509_get_default_cert_dir_env());

    if (!told && access(X509_get_default_cert_file(), R_OK) < 0 && !has_entries(X509_get_default_cert_dir()))
        return complain(complaint, X509_get_default_cert_dir(),
                        "the system has no CA certificates: install ca-certificates, or name a file");
    return SSL_CTX_set_default_verify_paths(ssl) || complain_of_content(complaint, "system", "CA certificate");
}

static bool trust(SSL_CTX *ssl, const char *ca_file, const struct complaint *complaint)
{
    if (!strcmp(ca_file, "system"))
        return trust_system(ssl, complaint);
    if (!holds_pem(ca_file, complaint))
        return false;
    return SSL_CTX_load_verify_file(ssl, ca_file) || complain_of_content(complaint, ca_file, "CA certificate");
}

/* The default would ask on the terminal. */
static int refuse_passphrase(char *out, int out_len, int for_writing, void *was_asked)
{
    (void)out, (void)out_len, (void)for_writing;
    *(bool *)was_asked = true;
    return -1;
}

static bool use_key(SSL_CTX *ssl, const struct tls_settings *settings, const struct complaint *complaint)
{
    bool locked = false;
    char what[320];

    SSL_CTX_set_default_passwd_cb(ssl, refuse_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, &locked);
    int loaded = SSL_CTX_use_PrivateKey_file(ssl, settings->key_file, SSL_FILETYPE_PEM);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
    if (locked)
        return complain(complaint, settings->key_file, "is locked with a passphrase: give it without");
    if (loaded && SSL_CTX_check_private_key(ssl))
        return true;
    unsigned long error = ERR_peek_last_error();
    if (!loaded && (ERR_GET_LIB(error) != ERR_LIB_X509 || ERR_GET_REASON(error) != X509_R_KEY_VALUES_MISMATCH))
        return complain_of_content(complaint, settings->key_file, "private key");
    snprintf(what, sizeof(what), "is not the key of the certificate in %s", settings->cert_file);
    return complain(complaint, settings->key_file, what);
}

/* Only called when we have no certificate of our own: to say so should the backend refuse us. */
static int on_cert_asked(SSL *ssl, X509 **cert, EVP_PKEY **key)
{
    struct tls *tls = SSL_get_app_data(ssl);
    (void)cert, (void)key;

    tls->cert_was_asked = true;
    return 0;
}

static bool introduce(SSL_CTX *ssl, const struct tls_settings *settings, const struct complaint *complaint)
{
    const char *cert = settings->cert_file, *key = settings->key_file;

    if (!*cert && !*key) {
        SSL_CTX_set_client_cert_cb(ssl, on_cert_asked);
        return true;
    }
    if (!*cert || !*key)
        return complain(complaint, *cert ? cert : key,
                        *cert ? "has no key file beside it" : "has no certificate file beside it");
    if (!holds_pem(cert, complaint) || !holds_pem(key, complaint))
        return false;
    if (!SSL_CTX_use_certificate_chain_file(ssl, cert))
        return complain_of_content(complaint, cert, "certificate");
    return use_key(ssl, settings, complaint);
}

/* --- the context --- */

static void on_message(int is_ours, int version, int type, const void *bytes, size_t len, SSL *ssl, void *arg)
{
    struct tls *tls = SSL_get_app_data(ssl);
    (void)version, (void)bytes, (void)len, (void)arg;

    if (!is_ours && type == SSL3_RT_HANDSHAKE && tls->state != TLS_HANDSHAKE)
        tls->messages++;
}

static void set_ways(SSL_CTX *ssl)
{
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* One read(2) takes all there is, but SSL_read() comes back for air when the backend sends no data. */
    SSL_CTX_set_read_ahead(ssl, 1);
    SSL_CTX_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS); /* an idle connection needs none */
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ssl, on_new_session);
    SSL_CTX_set_msg_callback(ssl, on_message);
}

static bool set_bounds(SSL_CTX *ssl, const struct tls_context *context, enum tls_verify verify)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ssl);

    SSL_CTX_set_security_level(ssl, SECURITY_LEVEL);
    if (!SSL_CTX_set_min_proto_version(ssl, context->min_version >= 13 ? TLS1_3_VERSION : TLS1_2_VERSION) ||
        !SSL_CTX_set_max_proto_version(ssl, 0) || !SSL_CTX_set_cipher_list(ssl, ciphers_of_tls12))
        return false;
    if (verify == TLS_VERIFY_NONE) {
        SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);
        return true;
    }
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, tls_on_verify);
    if (!X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER))
        return false;
    if (verify == TLS_VERIFY_CHAIN)
        return true;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (context->host_is_address)
        return X509_VERIFY_PARAM_set1_ip_asc(param, context->host);
    /* An empty host would switch the check off. */
    return *context->host && X509_VERIFY_PARAM_set1_host(param, context->host, 0);
}

static bool set_host(struct tls_context *context, const char *host)
{
    struct in6_addr address;
    size_t len = strlen(host);

    context->host = strndup(host, len && host[len - 1] == '.' ? len - 1 : len);
    context->host_is_address = inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
    return context->host;
}

struct tls_context *tls_context_new(const struct tls_settings *settings, char *error, size_t error_len)
{
    struct tls_context *context = calloc(1, sizeof(*context));
    struct complaint complaint = {.text = error, .len = error_len};

    snprintf(error, error_len, "out of memory");
    if (!context)
        return NULL;
    context->refs = 1;
    context->min_version = settings->min_version;
    pthread_mutex_init(&context->lock, NULL);
    ERR_clear_error();
    context->ssl = SSL_CTX_new(TLS_client_method());
    context->wire = tls_wire_new();
    if (!context->ssl || !context->wire || !set_host(context, settings->host))
        goto fail;
    SSL_CTX_set_app_data(context->ssl, context);
    set_ways(context->ssl);
    if (!set_bounds(context->ssl, context, settings->verify)) {
        complain(&complaint, settings->host, "OpenSSL does not take this host or version");
        goto fail;
    }
    if (settings->verify != TLS_VERIFY_NONE && !trust(context->ssl, settings->ca_file, &complaint))
        goto fail;
    if (!introduce(context->ssl, settings, &complaint))
        goto fail;
    return context;
fail:
    tls_context_unref(context);
    ERR_clear_error();
    return NULL;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

void tls_context_unref(struct tls_context *context)
{
    if (!context || atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) > 1)
        return;
    while (context->session_count)
        SSL_SESSION_free(context->sessions[--context->session_count]);
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->wire);
    pthread_mutex_destroy(&context->lock);
    free(context->host);
    free(context);
}
