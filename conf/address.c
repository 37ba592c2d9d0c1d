#include "conf/address.h"

#include <arpa/inet.h>
#include <string.h>

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
