/* The encoded request: exact bytes, both forms and dialects, companions of odd keys, and what is too large. */
#include "limit_case.h"
#include "limiter/companion.h"

static void test_exact_bytes(void **state)
{
    const struct limit_script *script = limit_script(SCRIPT_sem_count, DIALECT_PLAIN);
    const char *tag = companion_tag(companion_slot((const uint8_t *)"k", 1));
    char want[512];
    size_t len;
    (void)state;

    assert_true(parse_words(split("SEM.COUNT k")));
    uint8_t *bytes = encoded(DIALECT_PLAIN, LIMIT_EVALSHA, 1790000000123457, &len);
    int want_len = snprintf(want, sizeof want,
                            "*7\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n$1\r\n3\r\n$1\r\nk\r\n$12\r\nrg:{%.3s}:p:k\r\n"
                            "$12\r\nrg:{%.3s}:d:k\r\n$16\r\n1790000000123457\r\n",
                            script->sha, tag, tag);
    assert_int_equal(len, want_len);
    assert_memory_equal(bytes, want, len);
    free(bytes);
}

static void test_forms_and_dialects(void **state)
{
    const struct limit_script *plain = limit_script(SCRIPT_sem_clear, DIALECT_PLAIN);
    const struct limit_script *upstash = limit_script(SCRIPT_sem_clear, DIALECT_UPSTASH);
    char head[128];
    size_t len;
    (void)state;

    assert_true(parse_words(split("SEM.REVOKE k *")));
    uint8_t *bytes = encoded(DIALECT_PLAIN, LIMIT_EVAL, 7, &len);
    int head_len = snprintf(head, sizeof head, "*6\r\n$4\r\nEVAL\r\n$%zu\r\n", plain->text_len);
    assert_memory_equal(bytes, head, (size_t)head_len);
    assert_memory_equal(bytes + head_len, plain->text, plain->text_len);
    assert_memory_equal(bytes + len - 7, "$1\r\n7\r\n", 7);
    free(bytes);

    bytes = encoded(DIALECT_UPSTASH, LIMIT_EVALSHA, 7, &len);
    assert_memory_equal(bytes + strlen("*6\r\n$7\r\nEVALSHA\r\n$40\r\n"), upstash->sha, SCRIPT_SHA_LEN);
    assert_memory_not_equal(upstash->sha, plain->sha, SCRIPT_SHA_LEN);
    free(bytes);
}

static void test_numbers_of_all_lengths(void **state)
{
    (void)state;
    becomes("INCREX k BYINT 0 LBOUND -9223372036854775808 UBOUND 9223372036854775807",
            "increx | k | int 0 -9223372036854775808 9223372036854775807 reject keep 0 always");
    becomes("INCREX k BYINT 10 LBOUND -1 UBOUND 999999999999",
            "increx | k | int 10 -1 999999999999 reject keep 0 always");
}

/* Key and id are parted by the length of the key: other pairs have other names. */
static void test_names_of_ids(void **state)
{
    char first[4096];
    (void)state;

    strcpy(first, line_of("LIM.WINDOW {x}a 1 1 IDEM bc"));
    assert_string_not_equal(first, line_of("LIM.WINDOW {x}ab 1 1 IDEM c"));
}

/* All of a call's names share the client key's slot, whatever its bytes. */
static void check_slots(const struct limit_slice *key)
{
    size_t len, arg_len;
    struct request_args args;
    const uint8_t *arg;
    uint32_t argc = split("LIM.RESET k");

    words[1] = *key;
    assert_true(parse_words(argc));
    uint8_t *bytes = encoded(DIALECT_PLAIN, LIMIT_EVALSHA, 1, &len);
    request_args_start(&args, bytes, len);
    for (int i = 0; request_args_next(&args, &arg, &arg_len); i++) {
        if (i < 3 || i > 7)
            continue;
        assert_int_equal(companion_slot(arg, arg_len), companion_slot(key->bytes, key->len));
        assert_memory_equal(arg + arg_len - key->len, key->bytes, key->len);
    }
    free(bytes);
}

static void test_odd_keys(void **state)
{
    static uint8_t large[32768];
    static const struct limit_slice keys[] = {{(const uint8_t *)"", 0},        {(const uint8_t *)"}{", 2},
                                              {(const uint8_t *)"a{b}c", 5},   {(const uint8_t *)"{}x", 3},
                                              {(const uint8_t *)"\0{\0}", 4},  {(const uint8_t *)"\r\n {", 4},
                                              {(const uint8_t *)"a}b{c}d", 7}, {large, sizeof large}};
    (void)state;

    memset(large, 0xff, sizeof large);
    large[100] = '{';
    large[30000] = '}';
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        check_slots(&keys[i]);
}

static void test_too_many_and_too_large(void **state)
{
    static const char *const commands[] = {"SEM.RELEASE", "LIM.GCRA", "SEM.ACQUIRE", "INCREX"};
    (void)state;

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        split(commands[i]);
        for (uint32_t w = 1; w <= LIMIT_ARGS_MAX; w++)
            words[w] = (struct limit_slice){(const uint8_t *)"1", 1};
        assert_false(parse_words(LIMIT_ARGS_MAX + 1));
        assert_non_null(strstr(call.error, "ERR wrong number of arguments for '"));
    }
    uint32_t argc = split("SEM.COUNT k");
    words[1].len = (size_t)UINT32_MAX + 1;
    assert_false(parse_words(argc));
    assert_string_equal(call.error, "RGLIMIT command is too large to be answered here");
}

/* Nothing of an earlier use is left in a call. */
static void test_using_a_call_again(void **state)
{
    (void)state;
    becomes("LIM.WINDOW k 1 1 IDEM x", "lim_window | k i:1:kx | take 1 1000 first 1 1");
    becomes("SEM.ACQUIRE k 1 1 t FIFO WAIT 7", "sem_acquire_fifo | k m:k q:k d:k | 1 1000 t 1 plain 3000000");
    becomes("LIM.RESET a b", "lim_reset | a b m:a q:a d:a p:a m:b q:b d:b p:b | 2");
    becomes("INCREX k x", SYNTAX);
    becomes("LIM.WINDOW k 1 1", "lim_window | k | take 1 1000 first 1 1");
    assert_false(call.fair || call.repeatable || call.wait_ms || call.id.len);
    assert_true(call.same_slot && call.error[0] == '\0' && call.shape == LIMIT_AS_IT_IS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_bytes),
        cmocka_unit_test(test_forms_and_dialects),
        cmocka_unit_test(test_numbers_of_all_lengths),
        cmocka_unit_test(test_names_of_ids),
        cmocka_unit_test(test_odd_keys),
        cmocka_unit_test(test_too_many_and_too_large),
        cmocka_unit_test(test_using_a_call_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
