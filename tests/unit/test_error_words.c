/* What error replies say of the backend: every row of the table, and what only looks like one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/health/error_words.h"

static const struct {
    const char *reply;
    enum health_cause cause;
} rows[] = {
    {"-LOADING Redis is loading the dataset in memory\r\n", CAUSE_LOADING},
    {"-MASTERDOWN Link with MASTER is down\r\n", CAUSE_LOADING},
    {"-READONLY You can't write against a read only replica.\r\n", CAUSE_ROLE},
    {"-BUSY Redis is busy running a script.\r\n", CAUSE_BUSY},
    {"-NOAUTH Authentication required.\r\n", CAUSE_AUTH},
    {"-WRONGPASS invalid username-password pair or user is disabled.\r\n", CAUSE_AUTH},
    {"-NOPERM this user has no permissions\r\n", CAUSE_AUTH},
    {"-MOVED 3999 127.0.0.1:6381\r\n", CAUSE_CLUSTER},
    {"-ASK 3999 127.0.0.1:6381\r\n", CAUSE_CLUSTER},
    {"-CLUSTERDOWN The cluster is down\r\n", CAUSE_CLUSTER},
    {"-ERR max number of clients reached\r\n", CAUSE_CAPACITY},
    {"-ERR max number of clients + cluster connections reached\r\n", CAUSE_CAPACITY},
    {"-ERR max concurrent connections exceeded\r\n", CAUSE_CAPACITY},
    {"-ERR max requests limit exceeded.\r\n", CAUSE_QUOTA},
    {"-ERR max daily request limit exceeded\r\n", CAUSE_QUOTA},
    /* of the command, or of what no switch would mend */
    {"-OOM command not allowed when used memory > 'maxmemory'.\r\n", CAUSE_NONE},
    {"-MISCONF Redis is configured to save RDB snapshots\r\n", CAUSE_NONE},
    {"-NOREPLICAS Not enough good replicas to write.\r\n", CAUSE_NONE},
    {"-NOSCRIPT No matching script. Please use EVAL.\r\n", CAUSE_NONE},
    {"-ERR DB capacity quota exceeded\r\n", CAUSE_NONE},
    {"-ERR max request size exceeded\r\n", CAUSE_NONE},
    {"-ERR unknown command 'x'\r\n", CAUSE_NONE},
    {"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n", CAUSE_NONE},
    {"-BUSYGROUP Consumer Group name already exists\r\n", CAUSE_NONE},
    {"-BUSYKEY Target key name already exists.\r\n", CAUSE_NONE},
    {"-ASKED\r\n", CAUSE_NONE},
    {"-\r\n", CAUSE_NONE},
    {"+LOADING x\r\n", CAUSE_NONE},
    {"$9\r\n-READONLY\r\n", CAUSE_NONE},
};

static void test_every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (error_words((const uint8_t *)rows[i].reply, strlen(rows[i].reply)) != rows[i].cause)
            fail_msg("%s", rows[i].reply);
}

static void test_what_is_cut_off_says_nothing(void **state)
{
    (void)state;
    for (size_t len = 0; len < strlen("-READONLY "); len++)
        assert_int_equal(error_words((const uint8_t *)"-READONLY x", len), CAUSE_NONE);
    assert_int_equal(error_words((const uint8_t *)"-READONLY x", strlen("-READONLY ")), CAUSE_ROLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_what_is_cut_off_says_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
