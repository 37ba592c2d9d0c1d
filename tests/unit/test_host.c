/* By which names the stats port may be asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/watch/host.h"

static void test_addresses_and_localhost_are_ours(void **state)
{
    static const char *const ours[] = {"127.0.0.1",  "127.0.0.1:9380", "10.1.2.3:1", "[::1]",
                                       "[::1]:9380", "[fe80::1]:9380", "localhost",  "LocalHost:9380"};

    (void)state;
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        assert_true(host_is_ours(ours[i], ""));
}

static void test_names_are_not_unless_they_are_listed(void **state)
{
    static const char *const strange[] = {"evil.example",
                                          "evil.example:9380",
                                          "localhost.evil.example",
                                          "127.0.0.1.evil.example",
                                          "respgate",
                                          "",
                                          ":9380",
                                          "a b",
                                          "1.2.3"};

    (void)state;
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++)
        assert_false(host_is_ours(strange[i], "gate.internal other"));
    assert_true(host_is_ours("gate.internal:9380", "gate.internal other"));
    assert_true(host_is_ours("OTHER", " gate.internal  other "));
    assert_false(host_is_ours("gate", "gate.internal other"));
    assert_false(host_is_ours("gate.internal.evil.example", "gate.internal other"));
    assert_false(host_is_ours("gate.internal other", "gate.internal other"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_and_localhost_are_ours),
        cmocka_unit_test(test_names_are_not_unless_they_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
