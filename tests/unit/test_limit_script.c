/* Scripts as embedded: their SHA1 is that of the text, and the dialects differ in their first line only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "limiter/script.h"

static void check_sha(const struct limit_script *script)
{
    unsigned char digest[SHA_DIGEST_LENGTH];
    char hex[SCRIPT_SHA_LEN + 1];

    assert_int_equal(strlen(script->text), script->text_len);
    SHA1((const unsigned char *)script->text, script->text_len, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(script->sha, hex);
}

static void test_every_script(void **state)
{
    static const char *const names[] = {
#define X(name) #name,
        LIMIT_SCRIPTS(X)
#undef X
    };
    static const char first_line[] = "#!lua flags=allow-key-locking\n";
    (void)state;

    for (unsigned id = 0; id < SCRIPT_COUNT; id++) {
        const struct limit_script *plain = limit_script(id, DIALECT_PLAIN);
        const struct limit_script *upstash = limit_script(id, DIALECT_UPSTASH);

        assert_string_equal(plain->name, names[id]);
        assert_string_equal(upstash->name, names[id]);
        check_sha(plain);
        check_sha(upstash);
        assert_memory_equal(upstash->text, first_line, sizeof first_line - 1);
        assert_string_equal(upstash->text + sizeof first_line - 1, plain->text);
        assert_null(strstr(plain->text, "-- "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_script),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
