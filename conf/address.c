#include "conf/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "conf/text.h"

static const char *port_parse(const char *text, size_t len, unsigned *port)
{
    long long number;
    if (len > 5 || !text_digits(text, len, 10, &number) || number < 1 || number > 65535 || text[0] == '0') {
        return "the port is not a number from 1 to 65535";
    }
    *port = (unsigned)number;
    return NULL;
}

static const char *v6_parse(const char *text, size_t len, char host[ADDRESS_HOST_LEN])
{
    const char *bad = "the address in brackets is not an IPv6 address";
    const char *zone = memchr(text, '%', len);
    size_t digits = zone ? (size_t)(zone - text) : len;
    unsigned char raw[sizeof(struct in6_addr)];
    if (len + 1 > ADDRESS_HOST_LEN) {
        return bad;
    }
    memcpy(host, text, digits);
    host[digits] = '\0';
    if (inet_pton(AF_INET6, host, raw) != 1) {
        return bad;
    }
    if (!zone) {
        return NULL;
    }
    size_t zone_len = len - digits;
    if (zone_len < 4 || strncmp(zone, "%25", 3) != 0 || memchr(zone + 3, '%', zone_len - 3)) {
        return "the zone of the IPv6 address must be written after %25";
    }
    host[digits] = '%';
    memcpy(host + digits + 1, zone + 3, zone_len - 3);
    host[digits + 1 + zone_len - 3] = '\0';
    return NULL;
}

static const char *name_parse(const char *text, size_t len, char host[ADDRESS_HOST_LEN])
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    unsigned char raw[sizeof(struct in_addr)];
    if (len > 253) {
        return "the host name is longer than 253 bytes";
    }
    memcpy(host, text, len);
    host[len] = '\0';
    if (strspn(host, allowed) != len) {
        return "the host holds a byte that no host name has";
    }
    if (len > 0 && strspn(host, "0123456789.") == len && inet_pton(AF_INET, host, raw) != 1) {
        return "the host is not an IPv4 address of four numbers";
    }
    return NULL;
}

const char *address_parse(const char *text, size_t len, struct address *address)
{
    *address = (struct address){.port = 0};
    const char *colon;
    const char *wrong;
    if (len > 0 && text[0] == '[') {
        const char *end = memchr(text, ']', len);
        if (!end) {
            return "the '[' has no ']'";
        }
        wrong = v6_parse(text + 1, (size_t)(end - text) - 1, address->host);
        size_t rest = len - (size_t)(end + 1 - text);
        if (rest > 0 && end[1] != ':') {
            return "after the ']' only :port may follow";
        }
        colon = rest > 0 ? end + 1 : NULL;
    } else {
        colon = memchr(text, ':', len);
        if (colon && memchr(colon + 1, ':', len - (size_t)(colon + 1 - text))) {
            return "more than one ':' in host and port, an IPv6 address needs brackets";
        }
        wrong = name_parse(text, colon ? (size_t)(colon - text) : len, address->host);
    }
    if (wrong || !colon) {
        return wrong;
    }
    return port_parse(colon + 1, len - (size_t)(colon + 1 - text), &address->port);
}

enum { RAW_LEN = sizeof(struct in6_addr) };

/* Addresses that begin with the first `bits` of `first`. */
struct block {
    const char *first;
    unsigned bits;
};

static const struct block loopback[] = {{"127.0.0.0", 8}, {"::1", 128}};
static const struct block unspecified[] = {{"0.0.0.0", 32}, {"::", 128}};
static const struct block private[] = {{"10.0.0.0", 8},     {"172.16.0.0", 12}, {"192.168.0.0", 16},
                                       {"169.254.0.0", 16}, {"fc00::", 7},      {"fe80::", 10}};

/* The bytes of a numeric address, those of IPv4 mapped into IPv6. False for names. */
static bool raw_address(const char *host, unsigned char raw[RAW_LEN])
{
    static const unsigned char mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    char bare[ADDRESS_HOST_LEN];
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(host, "%"), host);
    if (inet_pton(AF_INET6, bare, raw) == 1) {
        return true;
    }
    memcpy(raw, mapped, sizeof mapped);
    return inet_pton(AF_INET, bare, raw + sizeof mapped) == 1;
}

static bool in_block(const unsigned char raw[RAW_LEN], const struct block *block)
{
    unsigned char first[RAW_LEN];
    raw_address(block->first, first);
    unsigned bits = strchr(block->first, ':') ? block->bits : block->bits + 96;
    unsigned whole = bits / 8, rest = bits % 8;
    return memcmp(raw, first, whole) == 0 && (rest == 0 || (raw[whole] ^ first[whole]) >> (8 - rest) == 0);
}

#define IN(host, blocks) in_blocks(host, blocks, sizeof blocks / sizeof *blocks)

static bool in_blocks(const char *host, const struct block *blocks, size_t n)
{
    unsigned char raw[RAW_LEN];
    bool found = false;
    bool numeric = raw_address(host, raw);
    for (size_t i = 0; numeric && i < n; i++) {
        found = found || in_block(raw, &blocks[i]);
    }
    return found;
}

static size_t without_last_dot(const char *host)
{
    size_t len = strlen(host);
    return len - (len > 0 && host[len - 1] == '.');
}

bool host_is_under(const char *host, const char *domain)
{
    size_t len = without_last_dot(host), want = strlen(domain);
    return len >= want && strncasecmp(host + len - want, domain, want) == 0 &&
           (len == want || host[len - want - 1] == '.');
}

bool host_is_loopback(const char *host)
{
    return host_is_under(host, "localhost") || IN(host, loopback) || IN(host, unspecified);
}

bool host_is_private(const char *host)
{
    unsigned char raw[RAW_LEN];
    if (raw_address(host, raw)) {
        return IN(host, private);
    }
    return !memchr(host, '.', without_last_dot(host)) || host_is_under(host, "local") ||
           host_is_under(host, "internal");
}

/* Stands for more than one address of this host. */
static bool is_vague(const char *host)
{
    return host_is_under(host, "localhost") || IN(host, unspecified);
}

bool host_reaches(const char *host, const char *listen_host)
{
    unsigned char a[RAW_LEN], b[RAW_LEN];
    if (is_vague(host) || is_vague(listen_host)) {
        return host_is_loopback(host) && host_is_loopback(listen_host);
    }
    bool numeric = raw_address(host, a) && raw_address(listen_host, b);
    return numeric ? memcmp(a, b, RAW_LEN) == 0 : strcasecmp(host, listen_host) == 0;
}
