/* What replies say, script by script, and which calls ask at all. */
#include "limit_case.h"
#include "limiter/limit_facts.h"
#include "limiter/limit_said.h"

static void expect(enum limit_script_id script, const char *reply, enum limit_said said, enum limit_reason reason)
{
    enum limit_reason told;

    if (limit_said(script, (const uint8_t *)reply, strlen(reply), &told) != said ||
        (said == LIMIT_SAID_NO && told != reason))
        fail_msg("script %d: %s", script, reply);
}

static void test_replies(void **state)
{
    static const char limited[] = "*8\r\n:0\r\n:5\r\n:0\r\n:9\r\n:9\r\n:9\r\n:0\r\n:1\r\n";
    static const char cost[] = "*8\r\n:0\r\n:5\r\n:0\r\n:-2\r\n:9\r\n:9\r\n:0\r\n:3\r\n";
    static const char replayed[] = "*8\r\n:0\r\n:5\r\n:0\r\n:9\r\n:9\r\n:9\r\n:0\r\n:10\r\n";
    static const char allowed[] = "*8\r\n:1\r\n:5\r\n:4\r\n:-1\r\n:9\r\n:9\r\n:1\r\n:0\r\n";

    (void)state;
    for (enum limit_script_id i = SCRIPT_lim_gcra; i <= SCRIPT_lim_window; i++) {
        if (i == SCRIPT_lim_multi || i == SCRIPT_lim_reset)
            continue;
        expect(i, limited, LIMIT_SAID_NO, REASON_LIMITED);
        expect(i, cost, LIMIT_SAID_NO, REASON_COST);
        expect(i, replayed, LIMIT_SAID_NO, REASON_REPLAYED);
        expect(i, allowed, LIMIT_SAID_YES, 0);
        expect(i, "-WRONGTYPE x\r\n", LIMIT_SAID_ERROR, 0);
        expect(i, "*8\r\n:0\r\n", LIMIT_SAID_NOTHING, 0); /* a part of one */
    }
    expect(SCRIPT_sem_acquire, "*10\r\n:0\r\n:5\r\n:5\r\n:0\r\n:0\r\n:-1\r\n:0\r\n:7\r\n:2\r\n:8\r\n", LIMIT_SAID_NO,
           REASON_QUEUED);
    expect(SCRIPT_sem_acquire_fifo, "*10\r\n:1\r\n:5\r\n:5\r\n:9\r\n:9\r\n:-1\r\n:0\r\n:-1\r\n:-1\r\n:0\r\n",
           LIMIT_SAID_YES, 0);
    expect(SCRIPT_cl_throttle, "*5\r\n:1\r\n:5\r\n:0\r\n:1\r\n:5\r\n", LIMIT_SAID_NO, REASON_LIMITED);
    expect(SCRIPT_cl_throttle, "*5\r\n:0\r\n:5\r\n:4\r\n:-1\r\n:1\r\n", LIMIT_SAID_YES, 0);
    expect(SCRIPT_lim_multi, "*4\r\n:0\r\n:1\r\n:50\r\n*0\r\n", LIMIT_SAID_NO, REASON_LIMITED);
    expect(SCRIPT_lim_multi, "*4\r\n:1\r\n:-1\r\n:0\r\n*0\r\n", LIMIT_SAID_YES, 0);
    expect(SCRIPT_sem_release, ":0\r\n", LIMIT_SAID_NOTHING, 0);
    expect(SCRIPT_lim_reset, "", LIMIT_SAID_NOTHING, 0);
}

static void test_some_fields_only(void **state)
{
    const char *reply = "*10\r\n:1\r\n:5\r\n:5\r\n:9000\r\n:77\r\n:-1\r\n:1\r\n:-1\r\n:-1\r\n:0\r\n";
    const uint8_t *at = (const uint8_t *)reply, *end = at + strlen(reply);
    int64_t n;

    (void)state;
    assert_true(limit_reply_next(&at, end, 1 + SEM_LEASE_LEFT_MS, &n) && n == 9000);
    assert_true(limit_reply_next(&at, end, SEM_ALREADY - SEM_LEASE_LEFT_MS - 1, &n) && n == 1);
    assert_true(limit_reply_next(&at, end, 2, &n) && n == 0 && at == end);
    assert_false(limit_reply_next(&at, end, 0, &n));
    assert_false(limit_reply_next(&at, end, 1, &n));
    at = (const uint8_t *)"$1\r\nx\r\n";
    assert_false(limit_reply_next(&at, at + 7, 0, &n));
}

static void check(const char *command, bool asks)
{
    assert_true(parse_words(split(command)));
    if (limit_facts_asks(&call) != asks)
        fail_msg("%s", command);
}

static void test_who_asks(void **state)
{
    (void)state;
    check("LIM.GCRA k 5 5 1000", true);
    check("LIM.WINDOW k 5 1000 PEEK", true);
    check("LIM.SLIDE k 5 1000 LOG", true);
    check("LIM.MULTI 1 k GCRA 5 5 1000", true);
    check("SEM.ACQUIRE k 1 1000 t", true);
    check("SEM.ACQUIRE k 1 1000 t FIFO", true);
    check("CL.THROTTLE k 4 1 1", true);
    check("CL.THROTTLE k 4 1 1 -1", false);
    check("LIM.REFUND k GCRA 5 5 1000 COST 1", false);
    check("LIM.RESET k", false);
    check("INCREX k", false);
    check("SEM.RELEASE k t", false);
    check("SEM.RENEW k t 1000", false);
    check("SEM.COUNT k", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_some_fields_only),
        cmocka_unit_test(test_who_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
