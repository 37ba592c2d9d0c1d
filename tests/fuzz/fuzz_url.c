/*
 * Any text as a Redis URL: what is taken is within its bounds and means the same when written again with every byte of
 * its user and password encoded; what is printed of it holds no password; of a broken one nothing before its last '@'.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/url.h"

enum { TEXT_MAX = 2048 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void check_bounds(const struct redis_url *url)
{
    assert(url->host && *url->host);
    assert(!url->user || *url->user);
    assert(!url->password || *url->password);
    assert(url->db <= INT32_MAX);
    assert(url->is_unix ? url->port == 0 && url->host[0] == '/' && !url->tls : url->port >= 1 && url->port <= 65535);
    assert(strlen(url->host) <= 253);
}

static size_t encode(char *out, const char *text)
{
    size_t len = 0;
    for (; text && *text; text++) {
        len += (size_t)sprintf(out + len, "%%%02x", (unsigned char)*text);
    }
    out[len] = '\0';
    return len;
}

/* Of the zone of an IPv6 address only the '%' needs encoding. */
static size_t encode_host(char *out, const struct redis_url *url)
{
    size_t len = 0;
    bool v6 = strchr(url->host, ':') != NULL;
    if (url->is_unix) {
        out[len++] = '/';
        return len + encode(out + len, url->host + 1);
    }
    len += (size_t)sprintf(out, "%s", v6 ? "[" : "");
    for (const char *c = url->host; *c; c++) {
        len += (size_t)sprintf(out + len, *c == '%' ? "%%25" : "%c", *c);
    }
    return len + (size_t)sprintf(out + len, "%s:%u", v6 ? "]" : "", url->port);
}

static void check_written_again(const struct redis_url *url)
{
    char text[TEXT_MAX * 4], error[256];
    struct redis_url again;
    size_t len = (size_t)sprintf(text, "%s", url->is_unix ? "unix://" : url->tls ? "rediss://" : "redis://");
    len += encode(text + len, url->user);
    len += (size_t)sprintf(text + len, "%s", url->password ? ":" : "");
    len += encode(text + len, url->password);
    len += (size_t)sprintf(text + len, "%s", url->user || url->password ? "@" : "");
    len += encode_host(text + len, url);
    sprintf(text + len, url->is_unix ? "?db=%u" : "/%u", url->db);
    assert(redis_url_parse(text, &again, error, sizeof error));
    assert(same(url->user, again.user) && same(url->password, again.password) && same(url->host, again.host));
    assert(url->port == again.port && url->db == again.db && url->tls == again.tls && url->is_unix == again.is_unix);
    redis_url_free(&again);
}

/* The redacted text is a URL with the same parts, but its password is "***", or its user where there was no password.
 */
static void check_redacted(const struct redis_url *url, const char *redacted)
{
    char error[256];
    struct redis_url shown;
    bool any = url->user || url->password;
    assert(redis_url_parse(redacted, &shown, error, sizeof error));
    assert(same(shown.password, url->password ? "***" : NULL));
    assert(same(shown.user, any && !url->password ? "***" : url->user));
    assert(same(shown.host, url->host) && shown.port == url->port && shown.db == url->db);
    redis_url_free(&shown);
}

static void check_broken(const char *text, const char *redacted)
{
    const char *stars = strstr(redacted, "***");
    const char *tail = strrchr(text, '@');
    char expected[TEXT_MAX];
    assert(stars);
    assert(stars == redacted || (stars - redacted >= 7 && strncmp(stars - 3, "://", 3) == 0));
    snprintf(expected, sizeof expected, "***%s", tail ? tail : "");
    size_t len = strcspn(expected, "?#");
    assert(strncmp(stars, expected, len) == 0);
    assert(strcmp(stars + len, expected[len] ? "?***" : "") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= TEXT_MAX / 4 || memchr(data, 0, size)) {
        return 0;
    }
    char *text = malloc(size + 1);
    char redacted[TEXT_MAX], error[256] = "";
    struct redis_url url;
    assert(text);
    memcpy(text, data, size);
    text[size] = '\0';
    redis_url_redact(text, redacted, sizeof redacted);
    if (redis_url_parse(text, &url, error, sizeof error)) {
        check_bounds(&url);
        check_written_again(&url);
        check_redacted(&url, redacted);
        redis_url_free(&url);
    } else {
        assert(*error && strspn(error, "\n\r\t") == 0);
        check_broken(text, redacted);
    }
    free(text);
    return 0;
}
