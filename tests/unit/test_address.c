/* What a host says by itself: is it this one, is it a private one, does it lead to a listener. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/address.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void all(bool (*is)(const char *), bool want, const char *const *hosts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (is(hosts[i]) != want) {
            fail_msg("%s", hosts[i]);
        }
    }
}

static void test_loopback(void **state)
{
    (void)state;
    static const char *const yes[] = {"localhost", "LocalHost.", "a.localhost", "127.0.0.1",       "127.255.255.255",
                                      "::1",       "0.0.0.0",    "::",          "::ffff:127.0.0.1"};
    static const char *const no[] = {"",          "redis", "localhost.test", "mylocalhost",    "126.255.255.255",
                                     "128.0.0.0", "::2",   "0.0.0.1",        "::ffff:10.0.0.1"};
    all(host_is_loopback, true, yes, COUNT(yes));
    all(host_is_loopback, false, no, COUNT(no));
}

static void test_private(void **state)
{
    (void)state;
    static const char *const yes[] = {
        "10.0.0.0",        "10.255.255.255",  "172.16.0.0", "172.31.255.255", "192.168.0.0",
        "192.168.255.255", "169.254.1.1",     "fc00::1",    "fdff::1",        "fe80::1%eth0",
        "febf::1",         "::ffff:10.1.2.3", "redis",      "redis.",         "r.svc.cluster.local",
        "db.internal",     "local",           "R.Internal."};
    static const char *const no[] = {"9.255.255.255",   "11.0.0.0",     "172.15.255.255", "172.32.0.0",
                                     "192.167.255.255", "192.169.0.0",  "169.255.0.0",    "fbff::1",
                                     "fe00::1",         "fec0::1",      "2001:db8::1",    "8.8.8.8",
                                     "example.com",     "a.local.test", "eu1.upstash.io", "notlocal.xlocal"};
    all(host_is_private, true, yes, COUNT(yes));
    all(host_is_private, false, no, COUNT(no));
}

static void test_reaches(void **state)
{
    (void)state;
    static const struct {
        const char *host, *listen_host;
        bool reaches;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.2", "127.0.0.1", false},
        {"::1", "127.0.0.1", false},
        {"::1", "0:0:0:0:0:0:0:1", true},
        {"::ffff:127.0.0.1", "127.0.0.1", true},
        {"localhost", "127.0.0.1", true},
        {"LOCALHOST", "::1", true},
        {"127.0.0.1", "localhost", true},
        {"127.0.0.2", "0.0.0.0", true},
        {"localhost", "::", true},
        {"::1", "::", true},
        {"0.0.0.0", "127.0.0.1", true},
        {"10.0.0.1", "0.0.0.0", false},
        {"10.0.0.1", "10.0.0.1", true},
        {"redis", "0.0.0.0", false},
        {"Redis", "redis", true},
        {"redis", "127.0.0.1", false},
        {"localhost", "10.0.0.1", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (host_reaches(cases[i].host, cases[i].listen_host) != cases[i].reaches) {
            fail_msg("%s, %s", cases[i].host, cases[i].listen_host);
        }
    }
}

static void test_under(void **state)
{
    (void)state;
    assert_true(host_is_under("upstash.io", "upstash.io"));
    assert_true(host_is_under("EU1.Upstash.io.", "upstash.io"));
    assert_false(host_is_under("notupstash.io", "upstash.io"));
    assert_false(host_is_under("upstash.io.test", "upstash.io"));
    assert_false(host_is_under("io", "upstash.io"));
    assert_false(host_is_under("", "upstash.io"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_private),
        cmocka_unit_test(test_reaches),
        cmocka_unit_test(test_under),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
