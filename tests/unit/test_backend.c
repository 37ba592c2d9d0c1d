/* The addresses of a backend: which are new, and that a set which comes back is not kept twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "proxy/health/backend.h"

static struct backend_addresses *set_of(uint32_t first, uint32_t second)
{
    struct backend_addresses *addresses = calloc(1, sizeof(*addresses));
    const uint32_t hosts[] = {first, second};

    assert_non_null(addresses);
    for (; addresses->count < 2; addresses->count++) {
        struct sockaddr_in *address = (struct sockaddr_in *)&addresses->at[addresses->count].address;
        address->sin_family = AF_INET;
        address->sin_addr.s_addr = htonl(hosts[addresses->count]);
        addresses->at[addresses->count].len = sizeof(*address);
    }
    return addresses;
}

static size_t kept(const struct backend *backend)
{
    size_t n = 0;

    for (const struct backend_addresses *known = backend->known; known; known = known->older)
        n++;
    return n;
}

static void test_a_set_that_comes_back_is_published_again(void **state)
{
    struct backend *backend = backend_new("a", "redis://name.invalid");
    struct backend_addresses *first;

    (void)state;
    assert_null(atomic_load(&backend->addresses));
    assert_true(backend_set_addresses(backend, set_of(1, 2)));
    first = atomic_load(&backend->addresses);
    for (int turn = 0; turn < 100; turn++) {
        assert_true(backend_set_addresses(backend, set_of(3, 4)));
        assert_ptr_not_equal(atomic_load(&backend->addresses), first);
        assert_true(backend_set_addresses(backend, set_of(1, 2)));
        assert_ptr_equal(atomic_load(&backend->addresses), first);
    }
    assert_int_equal(kept(backend), 2);
    backend_unref(backend);
}

static void test_another_order_is_nothing_new(void **state)
{
    struct backend *backend = backend_new("a", "redis://name.invalid");

    (void)state;
    assert_true(backend_set_addresses(backend, set_of(1, 2)));
    assert_false(backend_set_addresses(backend, set_of(2, 1)));
    assert_int_equal(kept(backend), 1);
    backend_unref(backend);
}

static void test_numeric_hosts_have_their_address_at_once(void **state)
{
    struct backend *backend = backend_new("a", "redis://127.0.0.1:6379");

    (void)state;
    assert_int_equal(atomic_load(&backend->addresses)->count, 1);
    assert_int_equal(kept(backend), 1);
    backend_unref(backend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_set_that_comes_back_is_published_again),
        cmocka_unit_test(test_another_order_is_nothing_new),
        cmocka_unit_test(test_numeric_hosts_have_their_address_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
