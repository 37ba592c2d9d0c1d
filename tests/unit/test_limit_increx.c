/* INCREX: options in any order, bounds in both kinds, times, and the texts of Redis 8.8. */
#include "limit_case.h"

#define LEAST "-9223372036854775808"
#define MOST "9223372036854775807"
#define BAD_TIME "-ERR invalid expire time in 'increx' command"
#define CROSSED "-ERR LBOUND can't be greater than UBOUND"
#define INFINITE "-ERR applied increment would be Infinity"

static void test_integers(void **state)
{
    (void)state;
    becomes("INCREX k", "increx | k | int 1 " LEAST " " MOST " reject keep 0 always");
    assert_int_equal(call.shape, LIMIT_INCREX_INTEGERS);
    assert_false(call.repeatable);
    becomes("increx k byint -5", "increx | k | int -5 " LEAST " " MOST " reject keep 0 always");
    becomes("INCREX k BYINT " LEAST, "increx | k | int " LEAST " " LEAST " " MOST " reject keep 0 always");
    becomes("INCREX k LBOUND 0 BYINT 100 UBOUND 10 SATURATE", "increx | k | int 100 0 10 saturate keep 0 always");
    becomes("INCREX k LBOUND 10 UBOUND 10", "increx | k | int 1 10 10 reject keep 0 always");
    becomes("INCREX k PERSIST", "increx | k | int 1 " LEAST " " MOST " reject persist 0 always");
}

static void test_times(void **state)
{
    (void)state;
    becomes("INCREX k UBOUND 9 EX 100", "increx | k | int 1 " LEAST " 9 reject px 100000 always");
    becomes("INCREX k EX 100 ENX LBOUND 0 UBOUND 9", "increx | k | int 1 0 9 reject px 100000 enx");
    becomes("INCREX k ENX PX 100 LBOUND 0 UBOUND 9", "increx | k | int 1 0 9 reject px 100 enx");
    becomes("INCREX k EXAT 100 LBOUND 0 UBOUND 9", "increx | k | int 1 0 9 reject pxat 100000 always");
    becomes("INCREX k PXAT 100 LBOUND 0 UBOUND 9", "increx | k | int 1 0 9 reject pxat 100 always");
    becomes("INCREX k PXAT " MOST " LBOUND 0 UBOUND 9", "increx | k | int 1 0 9 reject pxat " MOST " always");
    becomes("INCREX k EX 0", BAD_TIME);
    becomes("INCREX k PX -1", BAD_TIME);
    becomes("INCREX k PX " LEAST, BAD_TIME);
    becomes("INCREX k EX 9223372036854776", BAD_TIME);
    becomes("INCREX k EX -9223372036854776", BAD_TIME);
    becomes("INCREX k EXAT 9223372036854776", BAD_TIME);
    becomes("INCREX k PX " MOST, BAD_TIME);
    becomes("INCREX k EX x", NOT_INTEGER);
    becomes("INCREX k PX 1.5", NOT_INTEGER);
    becomes("INCREX k EX 9223372036854775808", NOT_INTEGER);
}

static void test_floats(void **state)
{
    (void)state;
    becomes("INCREX k BYFLOAT 2.50", "increx | k | float 2.5   reject keep 0 always");
    assert_int_equal(call.shape, LIMIT_INCREX_FLOATS);
    becomes("INCREX k BYFLOAT -1e2 LBOUND -5.5 UBOUND 42.50 SATURATE EX 1",
            "increx | k | float -100 -5.5 42.5 saturate px 1000 always");
    becomes("INCREX k BYFLOAT 1 UBOUND inf", "increx | k | float 1   reject keep 0 always");
    becomes("INCREX k BYFLOAT 1 UBOUND +inf LBOUND -inf", "increx | k | float 1   reject keep 0 always");
    becomes("INCREX k BYFLOAT 1 UBOUND 1e4000", "increx | k | float 1   reject keep 0 always");
    becomes("INCREX k BYFLOAT 1 LBOUND -inf UBOUND -inf", "increx | k | float 1  -inf reject keep 0 always");
    becomes("INCREX k BYFLOAT 1 LBOUND inf UBOUND inf", "increx | k | float 1 inf  reject keep 0 always");
    becomes("INCREX k BYFLOAT 1 LBOUND -inf UBOUND -inf SATURATE", INFINITE);
    becomes("INCREX k BYFLOAT 1 LBOUND inf UBOUND inf SATURATE", INFINITE);
    becomes("INCREX k BYFLOAT 1 UBOUND -inf", CROSSED);
    becomes("INCREX k BYFLOAT 1 LBOUND inf", CROSSED);
    becomes("INCREX k BYFLOAT 1 LBOUND inf UBOUND -inf", CROSSED);
    becomes("INCREX k BYFLOAT 1 LBOUND 20.5 UBOUND 20.4", CROSSED);
}

static void test_bad_numbers(void **state)
{
    (void)state;
    becomes("INCREX k BYINT abc", "-ERR Increment is not an integer or out of range");
    becomes("INCREX k BYINT 1.5", "-ERR Increment is not an integer or out of range");
    becomes("INCREX k BYINT +1", "-ERR Increment is not an integer or out of range");
    becomes("INCREX k BYINT 9223372036854775808", "-ERR Increment is not an integer or out of range");
    becomes("INCREX k LBOUND abc", "-ERR LBOUND is not an integer or out of range");
    becomes("INCREX k LBOUND inf", "-ERR LBOUND is not an integer or out of range");
    becomes("INCREX k BYINT 5 UBOUND 12.5", "-ERR UBOUND is not an integer or out of range");
    becomes("INCREX k UBOUND ", "-ERR UBOUND is not an integer or out of range");
    becomes("INCREX k BYFLOAT abc", "-ERR Increment is not a valid float");
    becomes("INCREX k BYFLOAT nan", "-ERR Increment is not a valid float");
    becomes("INCREX k BYFLOAT inf", "-ERR Increment is not a valid float");
    becomes("INCREX k BYFLOAT 1e309", "-ERR Increment is not a valid float");
    becomes("INCREX k BYFLOAT 1 LBOUND abc", "-ERR LBOUND is not a valid float");
    becomes("INCREX k BYFLOAT 1 UBOUND abc", "-ERR UBOUND is not a valid float");
    becomes("INCREX k LBOUND 20 UBOUND 0", CROSSED);
    becomes("INCREX k LBOUND 20 UBOUND 0 SATURATE", CROSSED);
}

static void test_syntax(void **state)
{
    static const char *const bad[] = {"INCREX k WHAT",
                                      "INCREX k SAT",
                                      "INCREX k BYINT",
                                      "INCREX k LBOUND",
                                      "INCREX k UBOUND",
                                      "INCREX k EX",
                                      "INCREX k BYINT 1 BYINT 2",
                                      "INCREX k BYFLOAT 1 BYFLOAT 2",
                                      "INCREX k BYINT 1 BYFLOAT 2",
                                      "INCREX k BYFLOAT 2 BYINT 1",
                                      "INCREX k LBOUND 0 LBOUND 1",
                                      "INCREX k UBOUND 9 UBOUND 8",
                                      "INCREX k SATURATE SATURATE",
                                      "INCREX k ENX ENX EX 10",
                                      "INCREX k PERSIST PERSIST",
                                      "INCREX k EX 10 EX 20",
                                      "INCREX k PX 10 PX 20",
                                      "INCREX k EXAT 10 EXAT 9",
                                      "INCREX k PXAT 1 PXAT 2",
                                      "INCREX k EX 10 PX 50",
                                      "INCREX k EX 10 EXAT 99",
                                      "INCREX k PX 10 PXAT 99",
                                      "INCREX k EX 10 PERSIST",
                                      "INCREX k PERSIST EX 10",
                                      "INCREX k PERSIST ENX",
                                      "INCREX k ENX PERSIST",
                                      "INCREX k 5"};
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        becomes(bad[i], SYNTAX);
    becomes("INCREX k ENX", "-ERR ENX flag requires an expiration");
    becomes("INCREX k BYINT x ENX", "-ERR ENX flag requires an expiration");
    becomes("INCREX", WRONG_NUMBER("increx"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),    cmocka_unit_test(test_times),  cmocka_unit_test(test_floats),
        cmocka_unit_test(test_bad_numbers), cmocka_unit_test(test_syntax),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
