/* Why a certificate is refused, in plain words: what OpenSSL found, and what the certificate holds. */
#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proxy/net/tls_parts.h"

enum { NAMES_SHOWN = 3, NAME_SHOWN_LEN = 64 };

/* A name comes from outside: cut, and nothing but printable ASCII. */
static void show_name(const GENERAL_NAME *name, char out[static NAME_SHOWN_LEN + 1])
{
    const ASN1_STRING *value = name->type == GEN_DNS ? name->d.dNSName : name->d.iPAddress;
    const unsigned char *bytes = ASN1_STRING_get0_data(value);
    int len = ASN1_STRING_length(value);

    if (name->type == GEN_IPADD) {
        if ((len != 4 && len != 16) || !inet_ntop(len == 4 ? AF_INET : AF_INET6, bytes, out, NAME_SHOWN_LEN + 1))
            snprintf(out, NAME_SHOWN_LEN + 1, "a malformed address");
        return;
    }
    if (len > NAME_SHOWN_LEN)
        len = NAME_SHOWN_LEN;
    for (int i = 0; i < len; i++)
        out[i] = bytes[i] > ' ' && bytes[i] < 0x7f ? (char)bytes[i] : '?';
    out[len] = '\0';
}

/* "a.example, b.example and 7 more"; returns how many there are. */
static unsigned list_names(const GENERAL_NAMES *names, char *out, size_t out_len)
{
    unsigned count = 0;
    size_t len = 0;

    *out = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        char shown[NAME_SHOWN_LEN + 1];

        if (name->type != GEN_DNS && name->type != GEN_IPADD)
            continue;
        if (count++ >= NAMES_SHOWN)
            continue;
        show_name(name, shown);
        len += (size_t)snprintf(out + len, out_len - len, "%s%s", len ? ", " : "", shown);
    }
    if (count > NAMES_SHOWN)
        snprintf(out + len, out_len - len, " and %u more", count - NAMES_SHOWN);
    return count;
}

int64_t tls_certificate_end(const struct tls *tls)
{
    X509 *cert = tls->ssl ? SSL_get0_peer_certificate(tls->ssl) : NULL;
    struct tm end;

    return cert && ASN1_TIME_to_tm(X509_get0_notAfter(cert), &end) ? timegm(&end) : 0;
}

static void explain_name(struct tls *tls, X509 *cert)
{
    char listed[NAMES_SHOWN * (NAME_SHOWN_LEN + 2) + 32];
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

    if (!names)
        snprintf(tls->reason, sizeof(tls->reason), "certificate names only a common name");
    else if (!list_names(names, listed, sizeof(listed)))
        snprintf(tls->reason, sizeof(tls->reason), "certificate names no host");
    else
        snprintf(tls->reason, sizeof(tls->reason), "certificate is for %s, not for %.*s", listed, NAME_SHOWN_LEN,
                 tls->context->host);
    GENERAL_NAMES_free(names);
}

static void explain_date(struct tls *tls, const char *whose, const char *what, const ASN1_TIME *time)
{
    struct tm tm;
    char date[32] = "a date that cannot be read";

    if (ASN1_TIME_to_tm(time, &tm))
        strftime(date, sizeof(date), "%Y-%m-%d", &tm);
    snprintf(tls->reason, sizeof(tls->reason), "%s %s %s", whose, what, date);
}

static const char *plain_words(int error)
{
    switch (error) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return "is self-signed";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return "is signed by an unknown CA";
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
        return "key is too weak";
    case X509_V_ERR_CA_MD_TOO_WEAK:
        return "signature is too weak";
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return "signature is wrong";
    case X509_V_ERR_INVALID_PURPOSE:
        return "is not for servers";
    case X509_V_ERR_INVALID_CA:
        return "is used as a CA but is none";
    default:
        return NULL;
    }
}

static void explain(struct tls *tls, X509_STORE_CTX *store)
{
    int error = X509_STORE_CTX_get_error(store);
    X509 *cert = X509_STORE_CTX_get_current_cert(store);
    /* Who signs is a fault of the backend's certificate, wherever in the chain it shows. */
    bool of_ca = X509_STORE_CTX_get_error_depth(store) > 0 && error != X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN &&
                 error != X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    const char *whose = of_ca ? "CA certificate" : "certificate", *words = plain_words(error);

    if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH)
        explain_name(tls, cert);
    else if (error == X509_V_ERR_CERT_HAS_EXPIRED)
        explain_date(tls, whose, "expired on", X509_get0_notAfter(cert));
    else if (error == X509_V_ERR_CERT_NOT_YET_VALID)
        explain_date(tls, whose, "is not valid before", X509_get0_notBefore(cert));
    else
        snprintf(tls->reason, sizeof(tls->reason), "%s%s %s", whose, words ? "" : ":",
                 words ? words : X509_verify_cert_error_string(error));
}

int tls_on_verify(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());

    if (!ok)
        explain(SSL_get_app_data(ssl), store);
    return ok;
}
