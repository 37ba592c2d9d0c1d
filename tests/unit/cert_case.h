/* Certificates by recipe, made with OpenSSL when a test starts, and PEM files of them in a directory of their own. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct identity {
    X509 *cert;
    EVP_PKEY *key;
};

struct recipe {
    const char *cn;
    const char *san;               /* "DNS:a.example,IP:127.0.0.1"; NULL: none */
    const char *eku;               /* NULL: none */
    const struct identity *issuer; /* NULL: signed by itself */
    bool is_ca;
    unsigned rsa_bits; /* 0: an elliptic curve */
    bool sha1;
    const char *from, *to; /* "YYYYMMDDHHMMSSZ"; NULL: from 2000, to 2999 */
};

static char pem_dir[64];

static void add_extension(X509 *cert, const struct identity *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer ? issuer->cert : cert, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static struct identity identity_new(const struct recipe *recipe)
{
    static long serial = 1;
    struct identity made = {.cert = X509_new()};
    made.key = recipe->rsa_bits ? EVP_RSA_gen(recipe->rsa_bits) : EVP_EC_gen("P-256");
    const struct identity *issuer = recipe->issuer ? recipe->issuer : &made;
    X509_NAME *name = X509_get_subject_name(made.cert);

    X509_set_version(made.cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.cert), serial++);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)recipe->cn, -1, -1, 0);
    X509_set_issuer_name(made.cert, X509_get_subject_name(issuer->cert));
    ASN1_TIME_set_string_X509(X509_getm_notBefore(made.cert), recipe->from ? recipe->from : "20000101000000Z");
    ASN1_TIME_set_string_X509(X509_getm_notAfter(made.cert), recipe->to ? recipe->to : "29990101000000Z");
    X509_set_pubkey(made.cert, made.key);
    add_extension(made.cert, recipe->issuer, NID_subject_key_identifier, "hash");
    if (recipe->is_ca)
        add_extension(made.cert, recipe->issuer, NID_basic_constraints, "critical,CA:TRUE");
    if (recipe->san)
        add_extension(made.cert, recipe->issuer, NID_subject_alt_name, recipe->san);
    if (recipe->eku)
        add_extension(made.cert, recipe->issuer, NID_ext_key_usage, recipe->eku);
    assert_true(X509_sign(made.cert, issuer->key, recipe->sha1 ? EVP_sha1() : EVP_sha256()) > 0);
    return made;
}

static void identity_free(struct identity *identity)
{
    X509_free(identity->cert);
    EVP_PKEY_free(identity->key);
    memset(identity, 0, sizeof *identity);
}

static const char *pem_path(const char *name)
{
    static char paths[4][128];
    static unsigned at;

    at = (at + 1) % 4;
    snprintf(paths[at], sizeof paths[at], "%s/%s", pem_dir, name);
    return paths[at];
}

static FILE *pem_create(const char *name)
{
    FILE *file = fopen(pem_path(name), "we");
    assert_non_null(file);
    return file;
}

static inline void pem_write_text(const char *name, const char *text)
{
    FILE *file = pem_create(name);
    fputs(text, file);
    fclose(file);
}

static void pem_write_cert(const char *name, const struct identity *identity)
{
    FILE *file = pem_create(name);
    assert_int_equal(PEM_write_X509(file, identity->cert), 1);
    fclose(file);
}

/* `passphrase` NULL: the key is not locked. */
static inline void pem_write_key(const char *name, const struct identity *identity, const char *passphrase)
{
    FILE *file = pem_create(name);
    const EVP_CIPHER *cipher = passphrase ? EVP_aes_128_cbc() : NULL;
    assert_int_equal(PEM_write_PrivateKey(file, identity->key, cipher, NULL, 0, NULL, (void *)(uintptr_t)passphrase),
                     1);
    fclose(file);
}

static int pem_start(void)
{
    snprintf(pem_dir, sizeof pem_dir, "/tmp/respgate-pem-XXXXXX");
    return mkdtemp(pem_dir) ? 0 : -1;
}

static void pem_finish(void)
{
    DIR *dir = opendir(pem_dir);
    struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    rmdir(pem_dir);
}
