/* LIM.GCRA, WINDOW, SLIDE, REFUND, RESET and MULTI: every option, every refusal, and the bounds the scripts rely on. */
#include "limit_case.h"

#define YEARS_100 "3153600000000"
#define NEVER "9007199254740991"

static void test_gcra(void **state)
{
    (void)state;
    becomes("LIM.GCRA k 10 10 60000", "lim_gcra | k | take 10 6000000000 1 1 0 60001");
    becomes("lim.gcra k 10 10 60000 cost 3", "lim_gcra | k | take 10 6000000000 1 3 0 60001");
    becomes("LIM.GCRA k 10 3 1 PEEK", "lim_gcra | k | peek 10 333333 1 1 0 4");
    assert_true(call.repeatable);
    becomes("LIM.GCRA k 10 10 60000 PARTIAL COST 20", "lim_gcra | k | partial 10 6000000000 1 11 0 60001");
    assert_false(call.repeatable);
    becomes("LIM.GCRA k 10 10 60000 DELAY 500", "lim_gcra | k | take 10 6000000000 1 1 500000000 60001");
    becomes("LIM.GCRA k 2 10 60000 IDEM a:b", "lim_gcra | k i:1:ka:b | take 2 6000000000 1 1 0 60000");
    assert_true(call.repeatable);
    becomes("LIM.GCRA k 2 10 60000 IDEM ", "lim_gcra | k i:1:k | take 2 6000000000 1 1 0 60000");
    becomes("LIM.GCRA k 1 1 1 IDEM x DELAY 0 COST 1 PEEK", "lim_gcra | k i:1:kx | peek 1 1000000 1 1 0 2");
}

/* One unit is 1 ns while all fits 2^53 of them, else 1 us. */
static void test_gcra_units(void **state)
{
    (void)state;
    becomes("LIM.GCRA k 103 1 86400000", "lim_gcra | k | take 103 86400000000000 1 1 0 8899200001");
    becomes("LIM.GCRA k 104 1 86400000", "lim_gcra | k | take 104 86400000000 1000 1 0 8985600001");
    becomes("LIM.GCRA k 1 1 1 DELAY 9007199252", "lim_gcra | k | take 1 1000000 1 1 9007199252000000 2");
    becomes("LIM.GCRA k 1 1 1 DELAY 9007199253", "lim_gcra | k | take 1 1000 1000 1 9007199253000 2");
    becomes("LIM.GCRA k 1 1000000 1", "lim_gcra | k | take 1 1 1 1 0 1");
    becomes("LIM.GCRA k 1 1000001 1", OUT_OF_RANGE);
    becomes("LIM.GCRA k 1 1 1576800000000", "lim_gcra | k | take 1 1576800000000000 1000 1 0 1576800000001");
    becomes("LIM.GCRA k 1 1 1576800000001", OUT_OF_RANGE);
    becomes("LIM.GCRA k 4503599627370495 1000000 1", "lim_gcra | k | take 4503599627370495 1 1 1 0 4503599628");
    becomes("LIM.GCRA k 4503599627370495 1 1", OUT_OF_RANGE);
    becomes("LIM.GCRA k 4503599627370496 1000000 1", OUT_OF_RANGE);
    becomes("LIM.GCRA k 1 9223372036854775807 1", OUT_OF_RANGE);
    becomes("LIM.GCRA k 9223372036854775807 1 1", OUT_OF_RANGE);
    becomes("LIM.GCRA k 1 1 9223372036854775807", OUT_OF_RANGE);
    becomes("LIM.GCRA k 10 1 1000 COST " NEVER, "lim_gcra | k | take 10 1000000000 1 11 0 10001");
}

static void test_window(void **state)
{
    (void)state;
    becomes("LIM.WINDOW k 5 1000", "lim_window | k | take 5 1000000 first 1 1000");
    becomes("LIM.WINDOW k 5 1000 ALIGN first", "lim_window | k | take 5 1000000 first 1 1000");
    becomes("LIM.WINDOW k 5 1000 align Epoch COST 2 PEEK", "lim_window | k | peek 5 1000000 epoch 2 1000");
    becomes("LIM.WINDOW k 5 1000 PARTIAL COST 9", "lim_window | k | partial 5 1000000 first 6 1000");
    becomes("LIM.WINDOW k 5 1000 COUNTDENIED", "lim_window | k | countdenied 5 1000000 first 1 1000");
    becomes("LIM.WINDOW {a}k 5 1000 IDEM i", "lim_window | {a}k i:4:{a}ki | take 5 1000000 first 1 1000");
    becomes("LIM.WINDOW k 4503599627370495 " YEARS_100,
            "lim_window | k | take 4503599627370495 3153600000000000 first 1 " YEARS_100);
    becomes("LIM.WINDOW k 4503599627370496 1000", OUT_OF_RANGE);
    becomes("LIM.WINDOW k 1 3153600000001", OUT_OF_RANGE);
}

static void test_slide(void **state)
{
    (void)state;
    becomes("LIM.SLIDE k 5 1000", "lim_slide | k | take 5 1000 1 1000");
    becomes("LIM.SLIDE k 5 1000 COUNTER COST 7", "lim_slide | k | take 5 1000 6 1000");
    becomes("LIM.SLIDE k 5 1000 COST 2 LOG PEEK", "lim_slide_log | k | peek 5 1000000 2 1000");
    becomes("LIM.SLIDE k 5 1000 log IDEM i", "lim_slide_log | k i:1:ki | take 5 1000000 1 1000");
    becomes("LIM.SLIDE k 9007199254740 1000", OUT_OF_RANGE);
    becomes("LIM.SLIDE k 9007199254739 1000", "lim_slide | k | take 9007199254739 1000 1 1000");
    becomes("LIM.SLIDE k 9007199254740 1000 LOG", "lim_slide_log | k | take 9007199254740 1000000 1 1000");
}

static void test_refund(void **state)
{
    (void)state;
    becomes("LIM.REFUND k GCRA 10 10 60000 COST 3", "lim_gcra | k | refund 10 6000000000 1 3 0 60001");
    becomes("LIM.REFUND k gcra 10 10 60000 DELAY 5 COST 20 IDEM x",
            "lim_gcra | k r:1:kx | refund 10 6000000000 1 20 5000000 60001");
    becomes("LIM.REFUND k WINDOW 5 1000 COST 9 ALIGN EPOCH", "lim_window | k | refund 5 1000000 epoch 9 1000");
    becomes("LIM.REFUND k SLIDE 5 1000 COST 9", "lim_slide | k | refund 5 1000 9 1000");
    becomes("LIM.REFUND k SLIDE 5 1000 LOG COST 9", "lim_slide_log | k | refund 5 1000000 9 1000");
    becomes("LIM.REFUND k GCRA 10 1 1 COST " NEVER, OUT_OF_RANGE);
    becomes("LIM.REFUND k WINDOW 5 1000 COST " NEVER, "lim_window | k | refund 5 1000000 first " NEVER " 1000");
    becomes("LIM.REFUND k WINDOW 5 1000", WRONG_NUMBER("lim.refund"));
    becomes("LIM.REFUND k GCRA 10 10 60000 IDEM x", SYNTAX);
    becomes("LIM.REFUND k WINDOW 5 1000 COST 1 PEEK", SYNTAX);
    becomes("LIM.REFUND k WINDOW 5 1000 COST 1 PARTIAL", SYNTAX);
    becomes("LIM.REFUND k WINDOW 5 1000 COST 1 COUNTDENIED", SYNTAX);
    becomes("LIM.REFUND k SEM 5 1000 COST 1", SYNTAX);
}

static void test_reset(void **state)
{
    (void)state;
    becomes("LIM.RESET k", "lim_reset | k m:k q:k d:k p:k | 1");
    becomes("lim.reset a b", "lim_reset | a b m:a q:a d:a p:a m:b q:b d:b p:b | 2");
    assert_false(call.same_slot);
    becomes("LIM.RESET {x}a {x}b", "lim_reset | {x}a {x}b m:{x}a q:{x}a d:{x}a p:{x}a m:{x}b q:{x}b d:{x}b p:{x}b | 2");
    assert_true(call.same_slot);
    becomes("LIM.RESET", WRONG_NUMBER("lim.reset"));
}

/* The pattern with the value in place of its question mark. */
static const char *filled(char command[128], const char *pattern, const char *value)
{
    size_t before = strcspn(pattern, "?");

    snprintf(command, 128, "%.*s%s%s", (int)before, pattern, value, pattern + before + 1);
    return command;
}

static void test_refusals(void **state)
{
    static const char *const bad_integers[] = {"x", "", "+5", "05", "-0", "1.0", "9223372036854775808"};
    static const char *const shapes[] = {"LIM.GCRA k ? 1 1", "LIM.GCRA k 1 ? 1",         "LIM.GCRA k 1 1 ?",
                                         "LIM.WINDOW k ? 1", "LIM.WINDOW k 1 ?",         "LIM.SLIDE k ? 1",
                                         "LIM.SLIDE k 1 ?",  "LIM.MULTI 1 k WINDOW ? 1", "LIM.MULTI 1 k GCRA 1 ? 1"};
    static const char *const costs[] = {"COST 0", "COST -1",  "COST 9007199254740992", "COST 9223372036854775807",
                                        "COST x", "DELAY -1", "DELAY 3153600000001"};
    static const char *const too_small[] = {"0", "-1", "-9223372036854775808"};
    char command[128];
    (void)state;

    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        for (size_t i = 0; i < sizeof bad_integers / sizeof bad_integers[0]; i++) {
            becomes(filled(command, shapes[s], bad_integers[i]), NOT_INTEGER);
        }
        for (int i = 0; i < 3; i++) {
            becomes(filled(command, shapes[s], too_small[i]), NOT_POSITIVE);
        }
    }
    for (size_t i = 0; i < sizeof costs / sizeof costs[0]; i++) {
        becomes(filled(command, "LIM.GCRA k 1 1 1 ?", costs[i]), NOT_INTEGER);
    }
    becomes("LIM.GCRA k 1 1", WRONG_NUMBER("lim.gcra"));
    becomes("LIM.WINDOW k 1", WRONG_NUMBER("lim.window"));
    becomes("LIM.SLIDE k 1", WRONG_NUMBER("lim.slide"));
}

static void test_syntax(void **state)
{
    static const char *const bad[] = {
        "LIM.GCRA k 1 1 1 COST",
        "LIM.GCRA k 1 1 1 WHAT",
        "LIM.GCRA k 1 1 1 ",
        "LIM.GCRA k 1 1 1 COST 1 COST 1",
        "LIM.GCRA k 1 1 1 PEEK PARTIAL",
        "LIM.GCRA k 1 1 1 PARTIAL PEEK",
        "LIM.GCRA k 1 1 1 PEEK PEEK",
        "LIM.GCRA k 1 1 1 ALIGN EPOCH",
        "LIM.GCRA k 1 1 1 COUNTDENIED",
        "LIM.GCRA k 1 1 1 LOG",
        "LIM.GCRA k 1 1 1 DELAY",
        "LIM.GCRA k 1 1 1 DELAY 1 DELAY 1",
        "LIM.GCRA k 1 1 1 IDEM",
        "LIM.GCRA k 1 1 1 IDEM a IDEM a",
        "LIM.WINDOW k 1 1 ALIGN",
        "LIM.WINDOW k 1 1 ALIGN LAST",
        "LIM.WINDOW k 1 1 DELAY 1",
        "LIM.WINDOW k 1 1 COUNTDENIED PEEK",
        "LIM.WINDOW k 1 1 PARTIAL COUNTDENIED",
        "LIM.WINDOW k 1 1 ALIGN FIRST ALIGN FIRST",
        "LIM.SLIDE k 1 1 PARTIAL",
        "LIM.SLIDE k 1 1 LOG COUNTER",
        "LIM.SLIDE k 1 1 COUNTER LOG",
        "LIM.SLIDE k 1 1 COUNTDENIED",
        "LIM.WINDOW k 1 1 LOG",
    };
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        becomes(bad[i], SYNTAX);
}

static void test_multi(void **state)
{
    (void)state;
    becomes("LIM.MULTI 1 k WINDOW 5 1000", "lim_multi | k | window 5 1000000 first 1");
    assert_false(call.repeatable);
    becomes("LIM.MULTI 4 {a}1 {a}2 {a}3 {a}4 gcra 10 10 60000 COST 2 window 5 1000 ALIGN EPOCH COST 9 slide 5 1000 "
            "SEM 3 30000 tok",
            "lim_multi | {a}1 {a}2 {a}3 {a}4 m:{a}4 | gcra 10 6000000000 1 2 window 5 1000000 epoch 6 slide 5 1000 - 1 "
            "sem 3 30000000 tok -");
    assert_true(call.same_slot && call.repeatable);
    becomes("LIM.MULTI 2 a b SLIDE 5 1000 LOG COST 2 SLIDE 5 1000 COUNTER",
            "lim_multi | a b | log 5 1000000 - 2 slide 5 1000 - 1");
    assert_false(call.same_slot);
    settings.reservations = true;
    becomes("LIM.MULTI 2 a b SEM 1 1 cost WINDOW 1 1",
            "lim_multi | a m:a p:a b | sem 1 1000 cost reserved window 1 1000 first 1");
    settings.reservations = false;
}

static void test_multi_refusals(void **state)
{
    (void)state;
    becomes("LIM.MULTI 1 k WINDOW 5", WRONG_NUMBER("lim.multi"));
    becomes("LIM.MULTI 0 k WINDOW 5 1000", NOT_INTEGER);
    becomes("LIM.MULTI 65 k WINDOW 5 1000", NOT_INTEGER);
    becomes("LIM.MULTI x k WINDOW 5 1000", NOT_INTEGER);
    becomes("LIM.MULTI 64 k WINDOW 5 1000", SYNTAX);
    becomes("LIM.MULTI 4 k WINDOW 5 1000", SYNTAX);
    becomes("LIM.MULTI 2 a b WINDOW 5 1000", SYNTAX);
    becomes("LIM.MULTI 1 a WINDOW 5 1000 WINDOW 5 1000", SYNTAX);
    becomes("LIM.MULTI 1 a WINDOW 5 1000 PEEK", SYNTAX);
    becomes("LIM.MULTI 1 a WINDOW 5 1000 IDEM x", SYNTAX);
    becomes("LIM.MULTI 1 a GCRA 5 1 1000 DELAY 1", SYNTAX);
    becomes("LIM.MULTI 1 a BUCKET 5 1000", SYNTAX);
    becomes("LIM.MULTI 1 a SEM 5 1000", SYNTAX);
    becomes("LIM.MULTI 1 a SEM 5 1000 t COST 1", SYNTAX);
    becomes("LIM.MULTI 1 a SEM 0 1000 t", "-ERR max and lease must be positive");
    becomes("LIM.MULTI 2 a a WINDOW 5 1000 WINDOW 6 1000", "-ERR the keys must all be different");
    becomes("LIM.MULTI 1 a SLIDE 9007199254740 1000", OUT_OF_RANGE);
    becomes("LIM.MULTI 2 {a} {a}b WINDOW 5 1000 WINDOW 6 1000",
            "lim_multi | {a} {a}b | window 5 1000000 first 1 window 6 1000000 first 1");
    becomes("LIM.MULTI 2 {a} a WINDOW 5 1000 WINDOW 6 1000",
            "lim_multi | {a} a | window 5 1000000 first 1 window 6 1000000 first 1");
}

/* As many as there may be. */
static void test_the_largest(void **state)
{
    uint32_t argc = 2;
    char names[LIMIT_ARGS_MAX][8];
    (void)state;

    split("LIM.RESET");
    for (argc = 1; argc < LIMIT_ARGS_MAX; argc++) {
        int len = snprintf(names[argc], sizeof names[argc], "%u", argc);
        words[argc] = (struct limit_slice){(uint8_t *)names[argc], (size_t)len};
    }
    assert_true(parse_words(argc));
    assert_string_equal(strrchr(line_of_call(), '|'), "| 1099");
    words[argc] = words[1];
    assert_false(parse_words(argc + 1));
    assert_string_equal(call.error, "ERR wrong number of arguments for 'lim.reset' command");

    split("LIM.MULTI 64");
    for (uint32_t i = 0; i < 64; i++) {
        static const char *const limit[] = {"SEM", "1", "1", "t"};

        words[2 + i] = (struct limit_slice){(uint8_t *)names[1 + i], strlen(names[1 + i])};
        for (uint32_t w = 0; w < 4; w++)
            words[66 + 4 * i + w] = (struct limit_slice){(const uint8_t *)limit[w], strlen(limit[w])};
    }
    settings.reservations = true;
    assert_true(parse_words(66 + 4 * 64));
    settings.reservations = false;
    assert_int_equal(call.key_count, 64);
    assert_int_equal(call.argument_count, 320);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gcra),           cmocka_unit_test(test_gcra_units),  cmocka_unit_test(test_window),
        cmocka_unit_test(test_slide),          cmocka_unit_test(test_refund),      cmocka_unit_test(test_reset),
        cmocka_unit_test(test_refusals),       cmocka_unit_test(test_syntax),      cmocka_unit_test(test_multi),
        cmocka_unit_test(test_multi_refusals), cmocka_unit_test(test_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
