/* Redis URLs: what is taken apart how, what is refused with which words, and that no password is ever shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/url.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct wanted {
    bool tls, is_unix;
    const char *host, *user, *password;
    unsigned port, db;
};

struct good {
    const char *text;
    struct wanted want;
};

static void expect_url(const struct good *good)
{
    struct redis_url url;
    char error[256] = "";
    if (!redis_url_parse(good->text, &url, error, sizeof error)) {
        fail_msg("%s: %s", good->text, error);
    }
    assert_string_equal(url.host, good->want.host);
    assert_int_equal(url.port, good->want.port);
    assert_int_equal(url.db, good->want.db);
    assert_int_equal(url.tls, good->want.tls);
    assert_int_equal(url.is_unix, good->want.is_unix);
    assert_string_equal(url.user ? url.user : "(none)", good->want.user ? good->want.user : "(none)");
    assert_string_equal(url.password ? url.password : "(none)", good->want.password ? good->want.password : "(none)");
    redis_url_free(&url);
    assert_null(url.password);
}

static void test_parts(void **state)
{
    (void)state;
    static const struct good cases[] = {
        {"redis://", {.host = "localhost", .port = 6379}},
        {"redis:///", {.host = "localhost", .port = 6379}},
        {"redis:///3", {.host = "localhost", .port = 6379, .db = 3}},
        {"redis://cache", {.host = "cache", .port = 6379}},
        {"redis://cache_1.test.:1", {.host = "cache_1.test.", .port = 1}},
        {"redis://:65535", {.host = "localhost", .port = 65535}},
        {"redis://127.0.0.1:6379/0", {.host = "127.0.0.1", .port = 6379}},
        {"redis://h/2147483647", {.host = "h", .port = 6379, .db = 2147483647}},
        {"redis://h/0?", {.host = "h", .port = 6379}},
        {"redis://h?", {.host = "h", .port = 6379}},
        {"REDISS://h", {.tls = true, .host = "h", .port = 6379}},
        {"valkey://h", {.host = "h", .port = 6379}},
        {"valkeys://h", {.tls = true, .host = "h", .port = 6379}},
        {"redis://[::1]", {.host = "::1", .port = 6379}},
        {"redis://[2001:db8::1]:7000/1", {.host = "2001:db8::1", .port = 7000, .db = 1}},
        {"redis://[fe80::1%25eth0]:7000", {.host = "fe80::1%eth0", .port = 7000}},
        {"redis://app:secret@h:7000/1", {.host = "h", .port = 7000, .user = "app", .password = "secret", .db = 1}},
        {"redis://:secret@h", {.host = "h", .port = 6379, .password = "secret"}},
        {"redis://app@h", {.host = "h", .port = 6379, .user = "app"}},
        {"redis://app:@h", {.host = "h", .port = 6379, .user = "app"}},
        {"redis://@h", {.host = "h", .port = 6379}},
        {"redis://:@h", {.host = "h", .port = 6379}},
        {"redis://:a:b@h", {.host = "h", .port = 6379, .password = "a:b"}},
        {"redis://:p@ss@h", {.host = "h", .port = 6379, .password = "p@ss"}},
        {"redis://a%3ab:%2F%3f%4A%4a%40%25+%C3%A9@h",
         {.host = "h", .port = 6379, .user = "a:b", .password = "/?JJ@%+\xc3\xa9"}},
        {"redis://:%2525@h", {.host = "h", .port = 6379, .password = "%25"}},
        {"rediss://u:p@eu1.upstash.io:6379",
         {.tls = true, .host = "eu1.upstash.io", .port = 6379, .user = "u", .password = "p"}},
        {"redis://notupstash.io", {.host = "notupstash.io", .port = 6379}},
        {"unix:///run/redis.sock", {.is_unix = true, .host = "/run/redis.sock"}},
        {"unix:///run/a%20b.sock?db=2", {.is_unix = true, .host = "/run/a b.sock", .db = 2}},
        {"unix:///run/a@b.sock", {.is_unix = true, .host = "/run/a@b.sock"}},
        {"unix://app:secret@/s?db=0", {.is_unix = true, .host = "/s", .user = "app", .password = "secret"}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        expect_url(&cases[i]);
    }
}

struct bad {
    const char *text, *says;
};

static void test_mistakes(void **state)
{
    (void)state;
    static const struct bad cases[] = {
        {"", "does not start with redis://"},
        {"hunter2", "does not start with redis://"},
        {"redis:/hunter2", "does not start with redis://"},
        {"redis-socket:///hunter2", "does not start with redis://"},
        {"https://eu1.upstash.io", "is a REST address; use the redis:// or rediss:// one"},
        {"HTTP://hunter2", "is a REST address"},
        {"redis://eu1.upstash.io:6379", "under upstash.io needs rediss://"},
        {"redis://:hunter2@EU1.Upstash.IO.", "under upstash.io needs rediss://"},
        {"redis://upstash.io", "under upstash.io needs rediss://"},
        {"redis://h:0", "port is not a number from 1 to 65535"},
        {"redis://h:65536", "port is not a number from 1 to 65535"},
        {"redis://h:", "port is not a number"},
        {"redis://h:+1", "port is not a number"},
        {"redis://h:0080", "port is not a number"},
        {"redis://:hunter2", "port is not a number"},
        {"redis://h:63 79", "blank or a control byte"},
        {"redis://h\t", "blank or a control byte"},
        {"redis://h\n", "blank or a control byte"},
        {"redis://h\x7f", "blank or a control byte"},
        {"redis://:hunter2#@h", "'#', percent-encode it"},
        {"redis://:hunter2/x@h", "'@' follows a '/' or '?'"},
        {"redis://:hunter2?x@h", "'@' follows a '/' or '?'"},
        {"redis://:hunter2%@h", "'%' is not followed by two hexadecimal digits"},
        {"redis://:hunter2%4@h", "'%' is not followed"},
        {"redis://:hunter2%4g@h", "'%' is not followed"},
        {"redis://hunter2%g4@h", "'%' is not followed"},
        {"redis://:hunter2%00@h", "%00 cannot be used"},
        {"redis://h%20h", "byte that no host name has"},
        {"redis://h\xc3\xa9", "byte that no host name has"},
        {"redis://1.2.3", "not an IPv4 address"},
        {"redis://1.2.3.256", "not an IPv4 address"},
        {"redis://::1:6379", "an IPv6 address needs brackets"},
        {"redis://[::1", "the '[' has no ']'"},
        {"redis://[::1]6379", "only :port may follow"},
        {"redis://[::g]:1", "not an IPv6 address"},
        {"redis://[]:1", "not an IPv6 address"},
        {"redis://[fe80::1%eth0]", "after %25"},
        {"redis://[fe80::1%25]", "after %25"},
        {"redis://h/db", "database is not a number"},
        {"redis://h/01", "without leading zeros"},
        {"redis://h/1/", "database is not a number"},
        {"redis://h/-1", "database is not a number"},
        {"redis://h/2147483648", "database is not a number from 0 to 2147483647"},
        {"redis://h/99999999999999999999", "database is not a number"},
        {"redis://h?db=1", "write the database as a path"},
        {"redis://h/0?ssl_cert_reqs=none", "unknown query key \"ssl_cert_reqs\""},
        {"redis://h/0?a=1&b=2", "unknown query key \"a\","},
        {"redis://h/0?=1", "unknown query key \"\""},
        {"redis://h?&", "unknown query key \"\""},
        {"unix://run/redis.sock", "absolute path"},
        {"unix://", "absolute path"},
        {"unix:///", "absolute path"},
        {"unix:///s%", "'%' is not followed"},
        {"unix:///s?db=1&db=1", "db stands twice"},
        {"unix:///s?xx=1", "unknown query key \"xx\", none is known but db"},
        {"unix:///s?dbx=1", "unknown query key \"dbx\""},
        {"unix:///s?db=", "database is not a number"},
        {"unix:///s?db", "database is not a number"},
        {"unix:///s?password=hunter2", "unknown query key \"password\", none is known but db"},
        {"redis://h?password=hunter2", "unknown query key \"password\", none"},
        {"redis://h?%68unter2", "unknown query key \"...\", none"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct redis_url url;
        char error[256] = "";
        if (redis_url_parse(cases[i].text, &url, error, sizeof error) || !strstr(error, cases[i].says)) {
            fail_msg("\"%s\" says \"%s\", not \"%s\"", cases[i].text, error, cases[i].says);
        }
        assert_null(strstr(error, "hunter2"));
        assert_null(url.host);
    }
}

static void test_lengths(void **state)
{
    (void)state;
    char text[512], error[256], small[8];
    struct redis_url url;
    for (int len = 253; len <= 254; len++) {
        snprintf(text, sizeof text, "redis://%0*d", len, 0);
        memset(text + 8, 'a', (size_t)len);
        assert_int_equal(redis_url_parse(text, &url, error, sizeof error), len == 253);
        redis_url_free(&url);
    }
    assert_non_null(strstr(error, "longer than 253"));
    for (int len = 107; len <= 108; len++) {
        snprintf(text, sizeof text, "unix:///%0*d", len - 1, 0);
        assert_int_equal(redis_url_parse(text, &url, error, sizeof error), len == 107);
        redis_url_free(&url);
    }
    assert_non_null(strstr(error, "107 bytes"));
    assert_false(redis_url_parse("x", &url, small, sizeof small));
    assert_string_equal(small, "does no");
}

static void test_redaction(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"redis://h:6379/0", "redis://h:6379/0"},
        {"redis://:hunter2@h:6379/0", "redis://:***@h:6379/0"},
        {"rediss://app:hunter2@h?", "rediss://app:***@h?"},
        {"REDIS://app:hunter2@h", "redis://app:***@h"},
        {"redis://hunter2@h", "redis://***@h"},
        {"redis://:hun@ter2@h", "redis://:***@h"},
        {"redis://a%40b:hunter2@h", "redis://a%40b:***@h"},
        {"unix://app:hunter2@/run/s?db=1", "unix://app:***@/run/s?db=1"},
        {"unix:///run/a@b", "unix:///run/a@b"},
        /* broken ones */
        {"hunter2", "***"},
        {"", "***"},
        {"redis://:hunter2", "redis://***"},
        {"redis://:hun/ter2@h:6379/0", "redis://***@h:6379/0"},
        {"redis://:hun#ter2@h", "redis://***@h"},
        {"redis://u:p@h/0?password=hunter2", "redis://***@h/0?***"},
        {"https://x:hunter2@eu1.upstash.io", "***@eu1.upstash.io"},
        {"redis://h?password=hunter2", "redis://***"},
        {"unix://:hun/ter2@/run/s", "unix://***@/run/s"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char out[128];
        redis_url_redact(cases[i].text, out, sizeof out);
        assert_string_equal(out, cases[i].want);
    }
    char small[12];
    redis_url_redact("redis://:hunter2@host", small, sizeof small);
    assert_string_equal(small, "redis://:**");
}

static bool good_url(const char *text, struct redis_url *url)
{
    char error[256];
    return redis_url_parse(text, url, error, sizeof error);
}

static void test_same(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"redis://h", "redis://H:6379/0", true},   {"redis://u:old@h", "redis://u:new@h", true},
        {"redis://:secret@h", "valkey://h", true}, {"unix:///s?db=0", "unix://:x@/s", true},
        {"redis://h", "rediss://h", false},        {"redis://h", "redis://h:6380", false},
        {"redis://h", "redis://h/1", false},       {"redis://h", "redis://i", false},
        {"redis://h", "redis://u@h", false},       {"redis://u@h", "redis://U@h", false},
        {"unix:///s", "unix:///S", false},         {"unix:///s", "unix:///s?db=1", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct redis_url a, b;
        assert_true(good_url(cases[i].a, &a) && good_url(cases[i].b, &b));
        assert_int_equal(redis_url_same(&a, &b), cases[i].same);
        assert_int_equal(redis_url_same(&b, &a), cases[i].same);
        redis_url_free(&a);
        redis_url_free(&b);
    }
}

static void test_local(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool local;
    } cases[] = {
        {"redis://", true},
        {"unix:///run/redis.sock", true},
        {"rediss://redis:6379", true},
        {"redis://[::1]", true},
        {"redis://192.168.1.7", true},
        {"redis://1.1.1.1", false},
        {"rediss://eu1.upstash.io", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct redis_url url;
        assert_true(good_url(cases[i].text, &url));
        assert_int_equal(redis_url_is_local(&url), cases[i].local);
        redis_url_free(&url);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),     cmocka_unit_test(test_mistakes), cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_redaction), cmocka_unit_test(test_same),     cmocka_unit_test(test_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
