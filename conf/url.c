#include "conf/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/address.h"
#include "conf/text.h"

enum { UNIX_PATH_MAX_LEN = 107 }; /* sun_path holds 108 bytes with its NUL */
static const char db_wrong[] = "the database is not a number from 0 to 2147483647 without leading zeros";

/* A stretch of the text; nothing is copied before it has been judged. */
struct span {
    const char *at;
    size_t len;
};

struct scheme {
    const char *prefix;
    bool tls, is_unix;
};

static const struct scheme *scheme_find(const char *text)
{
    static const struct scheme schemes[] = {{"redis://", false, false},
                                            {"rediss://", true, false},
                                            {"valkey://", false, false},
                                            {"valkeys://", true, false},
                                            {"unix://", false, true}};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (strncasecmp(text, schemes[i].prefix, strlen(schemes[i].prefix)) == 0) {
            return &schemes[i];
        }
    }
    return NULL;
}

/* Cuts `whole` at the first byte of `stops`; the rest, with that byte, stays in *whole. */
static struct span cut(struct span *whole, const char *stops)
{
    size_t len = 0;
    while (len < whole->len && !strchr(stops, whole->at[len])) {
        len++;
    }
    struct span head = {whole->at, len};
    whole->at += len;
    whole->len -= len;
    return head;
}

static int hex(char c)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *at = memchr(digits, c, sizeof digits - 1);
    int place = at ? (int)(at - digits) : -1;
    return place < 16 ? place : place - 6;
}

static const char *decode(struct span in, char **out)
{
    char *text = text_grow(NULL, in.len + 1);
    size_t len = 0;
    const char *wrong = NULL;
    for (size_t i = 0; i < in.len && !wrong; i++) {
        if (in.at[i] != '%') {
            text[len++] = in.at[i];
            continue;
        }
        int high = i + 2 < in.len ? hex(in.at[i + 1]) : -1;
        int low = i + 2 < in.len ? hex(in.at[i + 2]) : -1;
        if (high < 0 || low < 0) {
            wrong = "a '%' is not followed by two hexadecimal digits (write %25 for the sign itself)";
        } else if (high == 0 && low == 0) {
            wrong = "%00 cannot be used";
        } else {
            text[len++] = (char)(high << 4 | low);
            i += 2;
        }
    }
    text[len] = '\0';
    *out = text;
    return wrong;
}

/* An empty user or password counts as none, as client libraries do. */
static const char *userinfo_parse(struct span userinfo, struct redis_url *url)
{
    struct span rest = userinfo;
    struct span user = cut(&rest, ":");
    const char *wrong = user.len > 0 ? decode(user, &url->user) : NULL;
    if (!wrong && rest.len > 1) {
        wrong = decode((struct span){rest.at + 1, rest.len - 1}, &url->password);
    }
    return wrong;
}

/* Takes "user:password@" off the front of `authority`. The last '@' ends it, since some write the sign unencoded. */
static const char *authority_strip(struct span *authority, struct redis_url *url)
{
    const char *at = memrchr(authority->at, '@', authority->len);
    if (!at) {
        return NULL;
    }
    struct span userinfo = {authority->at, (size_t)(at - authority->at)};
    authority->len -= userinfo.len + 1;
    authority->at = at + 1;
    return userinfo_parse(userinfo, url);
}

static const char *db_parse(struct span digits, unsigned *db)
{
    long long number;
    if (!text_digits(digits.at, digits.len, 10, &number) || number > 2147483647 ||
        (digits.at[0] == '0' && digits.len > 1)) {
        return db_wrong;
    }
    *db = (unsigned)number;
    return NULL;
}

static void query_key_wrong(struct span key, const struct redis_url *url, char *error, size_t error_len)
{
    char shown[TEXT_SHOWN_LEN];
    char *name = text_copy(key.at, key.len);
    text_show_name(name, shown);
    if (strcmp(name, "db") != 0) {
        snprintf(error, error_len, "unknown query key \"%s\", none is known%s", shown, url->is_unix ? " but db" : "");
    } else if (url->is_unix) {
        snprintf(error, error_len, "the query key db stands twice");
    } else {
        snprintf(error, error_len, "write the database as a path (/3), not as a query key");
    }
    text_wipe(name);
}

/* `query` without its '?'. Only db is known, and only where the path cannot carry it. */
static bool query_parse(struct span query, struct redis_url *url, char *error, size_t error_len)
{
    bool db_seen = false;
    while (query.len > 0) {
        struct span value = cut(&query, "&");
        struct span key = cut(&value, "=");
        query = query.len > 0 ? (struct span){query.at + 1, query.len - 1} : query;
        value = value.len > 0 ? (struct span){value.at + 1, value.len - 1} : value;
        if (!url->is_unix || db_seen || key.len != 2 || strncmp(key.at, "db", 2) != 0) {
            query_key_wrong(key, url, error, error_len);
            return false;
        }
        db_seen = true;
        const char *wrong = db_parse(value, &url->db);
        if (wrong) {
            snprintf(error, error_len, "%s", wrong);
            return false;
        }
    }
    return true;
}

static const char *tcp_parse(struct span rest, struct redis_url *url, struct span *query)
{
    struct span authority = cut(&rest, "/?");
    if (memchr(rest.at, '@', rest.len)) {
        return "an '@' follows a '/' or '?': percent-encode / ? # in the user and the password";
    }
    const char *wrong = authority_strip(&authority, url);
    struct address address = {.port = 0};
    wrong = wrong ? wrong : address_parse(authority.at, authority.len, &address);
    if (wrong) {
        return wrong;
    }
    if (!url->tls && host_is_under(address.host, "upstash.io")) {
        return "a host under upstash.io needs rediss://";
    }
    url->host = text_format("%s", address.host[0] ? address.host : "localhost");
    url->port = address.port ? address.port : 6379;
    struct span path = cut(&rest, "?");
    *query = rest;
    return path.len > 1 ? db_parse((struct span){path.at + 1, path.len - 1}, &url->db) : NULL;
}

static const char *unix_parse(struct span rest, struct redis_url *url, struct span *query)
{
    struct span authority = cut(&rest, "/?");
    const char *wrong = authority_strip(&authority, url);
    if (wrong) {
        return wrong;
    }
    struct span path = cut(&rest, "?");
    *query = rest;
    if (authority.len > 0 || path.len < 2) {
        return "a unix URL needs an absolute path, as in unix:///run/redis.sock";
    }
    wrong = decode(path, &url->host);
    if (!wrong && strlen(url->host) > UNIX_PATH_MAX_LEN) {
        return "the path of a socket has at most 107 bytes";
    }
    return wrong;
}

static bool has_blank_or_control(const char *text)
{
    return strchr(text, ' ') || text_has_control(text, strlen(text), true);
}

static const char *start_wrong(const char *text)
{
    if (strncasecmp(text, "https://", 8) == 0 || strncasecmp(text, "http://", 7) == 0) {
        return "is a REST address; use the redis:// or rediss:// one";
    }
    return "does not start with redis://, rediss://, unix://, valkey:// or valkeys://";
}

bool redis_url_parse(const char *text, struct redis_url *url, char *error, size_t error_len)
{
    *url = (struct redis_url){.port = 0};
    const struct scheme *scheme = scheme_find(text);
    const char *wrong = NULL;
    struct span query = {text, 0};
    if (!scheme) {
        wrong = start_wrong(text);
    } else if (has_blank_or_control(text)) {
        wrong = "holds a blank or a control byte, percent-encode it";
    } else if (strchr(text, '#')) {
        wrong = "holds a '#', percent-encode it as %23";
    } else {
        url->tls = scheme->tls;
        url->is_unix = scheme->is_unix;
        size_t skip = strlen(scheme->prefix);
        struct span rest = {text + skip, strlen(text + skip)};
        wrong = (scheme->is_unix ? unix_parse : tcp_parse)(rest, url, &query);
    }
    bool good = !wrong;
    if (wrong) {
        snprintf(error, error_len, "%s", wrong);
    } else if (query.len > 0) {
        good = query_parse((struct span){query.at + 1, query.len - 1}, url, error, error_len);
    }
    if (!good) {
        redis_url_free(url);
    }
    return good;
}

void redis_url_free(struct redis_url *url)
{
    text_wipe(url->password);
    text_wipe(url->user); /* some write a password there */
    free(url->host);
    *url = (struct redis_url){.port = 0};
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool redis_url_same(const struct redis_url *a, const struct redis_url *b)
{
    bool host = a->is_unix ? strcmp(a->host, b->host) == 0 : strcasecmp(a->host, b->host) == 0;
    return a->tls == b->tls && a->is_unix == b->is_unix && host && a->port == b->port && a->db == b->db &&
           same_text(a->user, b->user);
}

bool redis_url_is_local(const struct redis_url *url)
{
    return url->is_unix || host_is_loopback(url->host) || host_is_private(url->host);
}

/* Of a broken URL only what stands between the last '@' and a query is shown: anything else may be a piece of a
 * password. */
static void redact_broken(const char *text, const struct scheme *scheme, char *out, size_t out_len)
{
    const char *at = strrchr(text, '@');
    const char *tail = at ? at : "";
    int len = (int)strcspn(tail, "?#");
    snprintf(out, out_len, "%s***%.*s%s", scheme ? scheme->prefix : "", len, tail, tail[len] ? "?***" : "");
}

void redis_url_redact(const char *text, char *out, size_t out_len)
{
    const struct scheme *scheme = scheme_find(text);
    struct redis_url url;
    char error[128];
    if (!redis_url_parse(text, &url, error, sizeof error)) {
        redact_broken(text, scheme, out, out_len);
        return;
    }
    bool has_user = url.user, has_password = url.password;
    redis_url_free(&url);
    if (!has_user && !has_password) {
        snprintf(out, out_len, "%s", text);
        return;
    }
    size_t skip = strlen(scheme->prefix);
    struct span rest = {text + skip, strlen(text + skip)};
    struct span authority = cut(&rest, "/?");
    const char *at = memrchr(authority.at, '@', authority.len);
    struct span userinfo = {authority.at, (size_t)(at - authority.at)};
    struct span user = cut(&userinfo, ":");
    /* A user without a password is hidden too: some write a password there. */
    int shown = has_password ? (int)user.len : 0;
    snprintf(out, out_len, "%s%.*s%s***%s", scheme->prefix, shown, user.at, has_password ? ":" : "", at);
}
