/* SEM.*: what each becomes, with and without reservations, and every refusal. */
#include "limit_case.h"

#define NOT_POSITIVE_SEM "-ERR max and lease must be positive"
#define BAD_TOKEN "-ERR a token must not be empty or begin with a NUL byte"

static void test_acquire(void **state)
{
    (void)state;
    becomes("SEM.ACQUIRE k 5 30000 t", "sem_acquire | k m:k | 5 30000000 t 1 plain");
    assert_true(call.repeatable);
    assert_false(call.fair);
    assert_int_equal(call.wait_ms, 0);
    becomes("sem.acquire k 5 1 * cost 1000 wait 250", "sem_acquire | k m:k | 5 1000 * 1000 plain");
    assert_int_equal(call.wait_ms, 250);
    becomes("SEM.ACQUIRE k 1000 1 t SLOTS COST 1", "sem_acquire | k m:k | 1000 1000 t 1 slots");
    becomes("SEM.ACQUIRE k 5 1 t FIFO", "sem_acquire_fifo | k m:k q:k d:k | 5 1000 t 1 plain 3000000");
    assert_true(call.fair);
    settings.reservations = true;
    becomes("SEM.ACQUIRE k 5 1 t", "sem_acquire | k m:k p:k | 5 1000 t 1 plain");
    becomes("SEM.ACQUIRE k 5 1 t SLOTS FIFO WAIT 0", "sem_acquire_fifo | k m:k q:k d:k p:k | 5 1000 t 1 slots 3000000");
    settings.reservations = false;
    becomes("SEM.ACQUIRE k 4503599627370495 3153600000000 t",
            "sem_acquire | k m:k | 4503599627370495 3153600000000000 t 1 plain");
}

static void test_leaving_the_queue(void **state)
{
    (void)state;
    settings.reservations = true;
    becomes("SEM.ACQUIRE k 5 1 tok COST 3 WAIT 9 FIFO",
            "sem_acquire_fifo | k m:k q:k d:k p:k | 5 1000 tok 3 plain 3000000");
    settings.reservations = false;
    limit_call_leave(&call);
    assert_string_equal(line_of_call(), "sem_leave | q:k d:k | tok 3");
}

static void test_giving_back(void **state)
{
    (void)state;
    settings.reservations = true;
    becomes("SEM.ACQUIRE k 5 1 tok COST 3 WAIT 9 FIFO",
            "sem_acquire_fifo | k m:k q:k d:k p:k | 5 1000 tok 3 plain 3000000");
    settings.reservations = false;
    limit_call_give_back(&call, 70);
    assert_string_equal(line_of_call(), "sem_give_back | k m:k | tok 1070");
}

static void test_acquire_refusals(void **state)
{
    static const char *const bad[] = {"SEM.ACQUIRE k 5 1 t COST",
                                      "SEM.ACQUIRE k 5 1 t WAIT",
                                      "SEM.ACQUIRE k 5 1 t COST 1 COST 1",
                                      "SEM.ACQUIRE k 5 1 t WAIT 1 WAIT 1",
                                      "SEM.ACQUIRE k 5 1 t FIFO FIFO",
                                      "SEM.ACQUIRE k 5 1 t SLOTS SLOTS",
                                      "SEM.ACQUIRE k 5 1 t u",
                                      "SEM.ACQUIRE k 5 1 t "};
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        becomes(bad[i], SYNTAX);
    becomes("SEM.ACQUIRE k 5 1", WRONG_NUMBER("sem.acquire"));
    becomes("SEM.ACQUIRE k x 1 t", NOT_INTEGER);
    becomes("SEM.ACQUIRE k +5 1 t", NOT_INTEGER);
    becomes("SEM.ACQUIRE k 5 x t", NOT_INTEGER);
    becomes("SEM.ACQUIRE k 5  1 t", NOT_INTEGER);
    becomes("SEM.ACQUIRE k 9223372036854775808 1 t", NOT_INTEGER);
    becomes("SEM.ACQUIRE k 0 1 t", NOT_POSITIVE_SEM);
    becomes("SEM.ACQUIRE k -9223372036854775808 1 t", NOT_POSITIVE_SEM);
    becomes("SEM.ACQUIRE k 5 0 t", NOT_POSITIVE_SEM);
    becomes("SEM.ACQUIRE k 5 -1 t", NOT_POSITIVE_SEM);
    becomes("SEM.ACQUIRE k 4503599627370496 1 t", OUT_OF_RANGE);
    becomes("SEM.ACQUIRE k 9223372036854775807 1 t", OUT_OF_RANGE);
    becomes("SEM.ACQUIRE k 5 3153600000001 t", OUT_OF_RANGE);
    becomes("SEM.ACQUIRE k 5 9223372036854775807 t", OUT_OF_RANGE);
    becomes("SEM.ACQUIRE k 5 1 ", BAD_TOKEN);
    becomes("SEM.ACQUIRE k 5 1 t COST 0", NOT_INTEGER);
    becomes("SEM.ACQUIRE k 5 1 t COST 1001", NOT_INTEGER);
    becomes("SEM.ACQUIRE k 5 1 t WAIT -1", NOT_INTEGER);
    becomes("SEM.ACQUIRE k 5 1 t WAIT 3153600000001", NOT_INTEGER);
    becomes("SEM.ACQUIRE k 1001 1 t SLOTS", OUT_OF_RANGE);
    becomes("SEM.ACQUIRE k 5 1 t COST 2 SLOTS", OUT_OF_RANGE);
}

static void test_renew_and_check(void **state)
{
    (void)state;
    becomes("SEM.RENEW k t 100", "sem_renew | k m:k | t 100000");
    becomes("SEM.RENEW k t 100 9007199254740991", "sem_renew | k m:k | t 100000 9007199254740991");
    becomes("SEM.RENEW k t 0", NOT_POSITIVE_SEM);
    becomes("SEM.RENEW k t x", NOT_INTEGER);
    becomes("SEM.RENEW k  1", BAD_TOKEN);
    becomes("SEM.RENEW k t 3153600000001", OUT_OF_RANGE);
    becomes("SEM.RENEW k t 100 -1", NOT_INTEGER);
    becomes("SEM.RENEW k t 100 9007199254740992", NOT_INTEGER);
    becomes("SEM.RENEW k t", WRONG_NUMBER("sem.renew"));
    becomes("SEM.RENEW k t 1 2 3", WRONG_NUMBER("sem.renew"));
    becomes("SEM.CHECK k t", "sem_check | k m:k | t");
    becomes("SEM.CHECK k t 0", "sem_check | k m:k | t 0");
    becomes("SEM.CHECK k t x", NOT_INTEGER);
    becomes("SEM.CHECK k ", BAD_TOKEN);
    becomes("SEM.CHECK k", WRONG_NUMBER("sem.check"));
    becomes("SEM.CHECK k t 1 2", WRONG_NUMBER("sem.check"));
}

static void test_release_and_revoke(void **state)
{
    (void)state;
    becomes("SEM.RELEASE k t", "sem_release | k m:k | t");
    becomes("SEM.RELEASE k t * u", "sem_release | k m:k | t * u");
    assert_true(call.repeatable);
    becomes("SEM.RELEASE k t  u", BAD_TOKEN);
    becomes("SEM.RELEASE k", WRONG_NUMBER("sem.release"));
    becomes("SEM.REVOKE k t", "sem_release | k m:k | t");
    becomes("SEM.REVOKE k *", "sem_clear | k m:k |");
    assert_false(call.repeatable);
    becomes("SEM.REVOKE k ", BAD_TOKEN);
    becomes("SEM.REVOKE k", WRONG_NUMBER("sem.revoke"));
    becomes("SEM.REVOKE k t u", WRONG_NUMBER("sem.revoke"));
}

static void test_looking(void **state)
{
    (void)state;
    becomes("SEM.COUNT k", "sem_count | k p:k d:k |");
    becomes("SEM.COUNT", WRONG_NUMBER("sem.count"));
    becomes("SEM.COUNT k l", WRONG_NUMBER("sem.count"));
    becomes("SEM.HOLDERS k", "sem_holders | k m:k | 1000");
    becomes("SEM.HOLDERS k count 7", "sem_holders | k m:k | 7");
    becomes("SEM.HOLDERS k COUNT 0", NOT_INTEGER);
    becomes("SEM.HOLDERS k COUNT 1001", NOT_INTEGER);
    becomes("SEM.HOLDERS k COUNT", SYNTAX);
    becomes("SEM.HOLDERS k 7", SYNTAX);
    becomes("SEM.HOLDERS k COUNT 7 8", SYNTAX);
    becomes("SEM.HOLDERS", WRONG_NUMBER("sem.holders"));
}

/* A token that looks like the script's own members of a set would forge them. */
static void test_binary_tokens(void **state)
{
    static const char *const commands[] = {"SEM.ACQUIRE k 5 1 t", "SEM.RENEW k t 1", "SEM.RELEASE k t",
                                           "SEM.CHECK k t",       "SEM.REVOKE k t",  "LIM.MULTI 1 k SEM 1 1 t"};
    static const unsigned at[] = {4, 2, 2, 2, 2, 6};
    (void)state;

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        uint32_t argc = split(commands[i]);

        words[at[i]] = (struct limit_slice){(const uint8_t *)"\0f", 2};
        assert_false(parse_words(argc));
        assert_string_equal(call.error, &BAD_TOKEN[1]);
        words[at[i]] = (struct limit_slice){(const uint8_t *)"f\0\r\n", 4};
        assert_true(parse_words(argc));
    }
}

static void test_many_tokens(void **state)
{
    (void)state;
    split("SEM.RELEASE k t");
    for (uint32_t i = 3; i < 1003; i++)
        words[i] = words[2];
    assert_true(parse_words(1002));
    assert_int_equal(call.argument_count, 1000);
    assert_false(parse_words(1003));
    assert_string_equal(call.error, &WRONG_NUMBER("sem.release")[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acquire),         cmocka_unit_test(test_leaving_the_queue),
        cmocka_unit_test(test_giving_back),     cmocka_unit_test(test_acquire_refusals),
        cmocka_unit_test(test_renew_and_check), cmocka_unit_test(test_release_and_revoke),
        cmocka_unit_test(test_looking),         cmocka_unit_test(test_binary_tokens),
        cmocka_unit_test(test_many_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
