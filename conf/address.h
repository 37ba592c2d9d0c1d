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

/* NULL when good, else what is wrong: a constant that quotes nothing. */
const char *address_parse(const char *text, size_t len, struct address *address);
