/* Each command is of the class that people would look for it in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "protocol/command.h"
#include "proxy/flow/error_code.h"
#include "proxy/flow/request_class.h"

static void expect(const char *name, const char *sub, const char *class)
{
    const struct command *row = command_find((const uint8_t *)name, strlen(name), (const uint8_t *)sub, strlen(sub));

    assert_string_equal(request_class_name(request_class_of(row)), class);
}

static void test_classes(void **state)
{
    (void)state;
    expect("GET", "k", "read");
    expect("SET", "k", "write");
    expect("EVALSHA_RO", "s", "script");
    expect("SCRIPT", "LOAD", "other");
    expect("MULTI", "", "tx");
    expect("SUBSCRIBE", "c", "pubsub");
    expect("PUBLISH", "c", "pubsub");
    expect("BLPOP", "k", "blocking");
    expect("CONFIG", "GET", "admin");
    expect("PING", "", "connection");
    expect("CLIENT", "SETNAME", "connection");
    expect("NOSUCH", "", "other");
    expect("LIM.GCRA", "k", "limiter");
}

static void test_every_command_has_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < command_count(); i++) {
        enum request_class class = request_class_of(command_at(i));
        assert_true(class > REQUEST_CLASS_NONE && class < REQUEST_CLASSES);
    }
}

static void expect_code(const char *reply, const char *code)
{
    assert_string_equal(error_code_name(error_code_of((const uint8_t *)reply, strlen(reply))), code);
}

static void test_codes_are_a_closed_list(void **state)
{
    (void)state;
    expect_code("-ERR unknown command\r\n", "ERR");
    expect_code("-WRONGTYPE Operation\r\n", "WRONGTYPE");
    expect_code("-ERRS of somebody\r\n", "OTHER");
    expect_code("-my script says so\r\n", "OTHER");
    expect_code("-ERR\r\n", "ERR");
    expect_code("-", "OTHER");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_every_command_has_one),
        cmocka_unit_test(test_codes_are_a_closed_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
