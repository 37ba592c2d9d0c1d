/* Companion keys: the CRC and the slots of the Redis Cluster Specification, and names in the same slot as odd keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "limiter/companion.h"

static uint16_t slot_of(const char *key)
{
    return companion_slot((const uint8_t *)key, strlen(key));
}

static void test_crc16_of_the_specification(void **state)
{
    (void)state;
    assert_int_equal(companion_crc16((const uint8_t *)"123456789", 9), 0x31c3);
    assert_int_equal(companion_crc16((const uint8_t *)"", 0), 0);
}

/* Slots as CLUSTER KEYSLOT of a Redis 7.0 answered them. */
static void test_slots(void **state)
{
    (void)state;
    assert_int_equal(slot_of("foo"), 12182);
    assert_int_equal(slot_of(""), 0);
    assert_int_equal(slot_of("{user1000}.following"), slot_of("{user1000}.followers"));
    assert_int_equal(slot_of("{user1000}.following"), slot_of("user1000"));
    assert_int_equal(slot_of("foo{}{bar}"), 8363);
    assert_int_equal(slot_of("foo{{bar}}zap"), slot_of("{bar"));
    assert_int_equal(slot_of("foo{bar}{zap}"), slot_of("bar"));
    assert_int_equal(slot_of("}foo{"), companion_crc16((const uint8_t *)"}foo{", 5) % SLOT_COUNT);
}

static void test_every_slot_has_a_tag(void **state)
{
    (void)state;
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
        const char *tag = companion_tag((uint16_t)slot);

        assert_int_equal(companion_slot((const uint8_t *)tag, SLOT_TAG_LEN), slot);
        for (unsigned i = 0; i < SLOT_TAG_LEN; i++) {
            assert_true((tag[i] >= '0' && tag[i] <= '9') || (tag[i] >= 'A' && tag[i] <= 'Z') ||
                        (tag[i] >= 'a' && tag[i] <= 'z'));
        }
    }
}

static void check_companions(const uint8_t *key, size_t len)
{
    uint16_t slot = companion_slot(key, len);
    uint8_t *name = malloc(COMPANION_PREFIX_MAX + len);

    assert_non_null(name);
    for (unsigned kind = COMPANION_META; kind <= COMPANION_BACK; kind <<= 1) {
        char prefix[COMPANION_PREFIX_MAX];
        size_t prefix_len = companion_prefix(prefix, kind, slot, len);

        assert_in_range(prefix_len, 10, COMPANION_PREFIX_MAX - 1);
        memcpy(name, prefix, prefix_len);
        memcpy(name + prefix_len, key, len);
        assert_int_equal(companion_slot(name, prefix_len + len), slot);
    }
    free(name);
}

static void test_companions_share_the_slot(void **state)
{
    static const char *const keys[] = {"",      "a",     "{",  "}",  "{}",   "}{",
                                       "a{b}c", "{}{b}", "{a", "a}", "{{}}", "rg:{x}:m:k"};
    uint8_t *large = malloc(32768);
    (void)state;

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        check_companions((const uint8_t *)keys[i], strlen(keys[i]));
    check_companions((const uint8_t *)"a\0{b}\r\n", 7);
    assert_non_null(large);
    for (size_t i = 0; i < 32768; i++)
        large[i] = (uint8_t)(i * 131 >> 3);
    check_companions(large, 32768);
    free(large);
}

static void test_names(void **state)
{
    char prefix[COMPANION_PREFIX_MAX];
    (void)state;

    assert_int_equal(companion_prefix(prefix, COMPANION_NONE, 7, 3), 0);
    assert_int_equal(companion_prefix(prefix, COMPANION_META, slot_of("foo"), 3), 11);
    assert_memory_equal(prefix, "rg:{", 4);
    assert_memory_equal(prefix + 7, "}:m:", 4);
    assert_int_equal(companion_prefix(prefix, COMPANION_QUEUE, 0, 3), 11);
    assert_int_equal(prefix[9], 'q');
    assert_int_equal(companion_prefix(prefix, COMPANION_WAIT, 0, 3), 11);
    assert_int_equal(prefix[9], 'd');
    assert_int_equal(companion_prefix(prefix, COMPANION_HELD, 0, 3), 11);
    assert_int_equal(prefix[9], 'p');
    assert_int_equal(companion_prefix(prefix, COMPANION_IDEM, 0, 32768), 17);
    assert_memory_equal(prefix + 7, "}:i:32768:", 10);
    assert_int_equal(companion_prefix(prefix, COMPANION_BACK, 0, 9), 13);
    assert_memory_equal(prefix + 7, "}:r:9:", 6);
    assert_in_range(companion_prefix(prefix, COMPANION_BACK, 0, SIZE_MAX), 1, COMPANION_PREFIX_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc16_of_the_specification),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_every_slot_has_a_tag),
        cmocka_unit_test(test_companions_share_the_slot),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
