/*
 * "host:port" and "[v6]:port", as they stand in URLs and in listen.address (RFC 3986 host, RFC 6874 zone after %25).
 * Only the text is judged: nothing is resolved. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { ADDRESS_HOST_LEN = 256 }; /* the longest host name has 253 bytes */

struct address {
    char host[ADDRESS_HOST_LEN]; /* without brackets; "" when the text has none */
    unsigned port;               /* 1 to 65535; 0 when the text has none */
};

/* What a host, as address_parse() leaves it, says by itself: nothing is looked up. */
bool host_is_under(const char *host, const char *domain); /* the domain itself, or a name that ends in it */
bool host_is_loopback(const char *host);                  /* 0.0.0.0 and :: too: connecting there reaches this host */
/* Addresses of private networks (RFC 1918, 3927, 4193), names of one label, names under .local and .internal. */
bool host_is_private(const char *host);
/* Whether connecting to `host` may reach who listens on `listen_host`. */
bool host_reaches(const char *host, const char *listen_host);

/* NULL when good, else what is wrong: a constant that quotes nothing. */
const char *address_parse(const char *text, size_t len, struct address *address);
