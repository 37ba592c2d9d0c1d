/*
 * Redis URLs: redis://, rediss://, unix:// (and valkey://, valkeys:// as aliases), after the IANA provisional
 * registrations of `redis` and `rediss`, and RFC 3986 for percent-encoding (decoded once; "+" is not a blank).
 *
 *   url = scheme "://" [user [":" password] "@"] [host] [":" port] ["/" [db]] ["?" query]
 *       / "unix://" [user [":" password] "@"] path ["?" query]
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct redis_url {
    bool tls;
    bool is_unix;
    char *host;     /* without brackets; the path for unix; never NULL */
    unsigned port;  /* 0 for unix */
    char *user;     /* NULL when the URL has none; "" never */
    char *password; /* NULL when the URL has none */
    unsigned db;
};

/* False on a mistake; then `error` (of `error_len` bytes) says what is wrong without quoting any part that may be
 * secret. */
bool redis_url_parse(const char *text, struct redis_url *url, char *error, size_t error_len);
void redis_url_free(struct redis_url *url); /* zeroes the password first */

/* The same place, TLS, user and database. The password may differ, as a rotated one does. */
bool redis_url_same(const struct redis_url *a, const struct redis_url *b);

/* On this host or in a private network, by what the URL says (see host_is_private()): nothing is looked up. */
bool redis_url_is_local(const struct redis_url *url);

/* The URL with its password as ***, into out. Works on broken URLs too: then everything up to the last '@' is hidden.
 */
void redis_url_redact(const char *text, char *out, size_t out_len);
