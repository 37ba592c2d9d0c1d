/* What a [backend NAME] becomes: the dialect of its scripts, by word or by the host's name. */
#include "conf_case.h"

#include "proxy/health/backend.h"
#include "proxy/health/configure.h"

static struct backend *configured(const char *url, const char *dialect)
{
    struct backend *backend;
    char ini[256], error[256];
    struct conf *conf;

    snprintf(ini, sizeof(ini), "[backend a]\nurl = %s\n%s%s\n", url, dialect ? "dialect = " : "",
             dialect ? dialect : "");
    conf = good(ini, NULL, NULL);
    backend = backend_configure(conf, "a", error, sizeof(error));
    conf_free(conf);
    assert_non_null(backend);
    return backend;
}

static void test_dialect(void **state)
{
    static const struct {
        const char *url, *word;
        enum limit_dialect dialect;
    } cases[] = {
        {"redis://h", NULL, DIALECT_PLAIN},
        {"redis://h", "auto", DIALECT_PLAIN},
        {"redis://h", "plain", DIALECT_PLAIN},
        {"redis://h", "upstash", DIALECT_UPSTASH},
        {"rediss://eu1-x-1.upstash.io", NULL, DIALECT_UPSTASH},
        {"rediss://eu1-x-1.UPSTASH.io:6380", "auto", DIALECT_UPSTASH},
        {"rediss://eu1-x-1.upstash.io", "plain", DIALECT_PLAIN},
        {"rediss://notupstash.io", NULL, DIALECT_PLAIN},
        {"unix:///run/x.upstash.io", NULL, DIALECT_PLAIN},
        {"unix:///run/redis.sock", "upstash", DIALECT_UPSTASH},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct backend *backend = configured(cases[i].url, cases[i].word);
        assert_int_equal(backend->dialect, cases[i].dialect);
        backend_unref(backend);
    }
}

static void test_another_dialect_is_another_backend(void **state)
{
    struct backend *known = configured("redis://h", NULL), *same = configured("redis://h", "plain"), *used;

    (void)state;
    assert_ptr_equal(used = backend_unchanged(known, same), known);
    backend_unref(used);
    same = configured("redis://h", "upstash");
    assert_ptr_equal(backend_unchanged(known, same), same);
    backend_unref(same);
    backend_unref(known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialect),
        cmocka_unit_test(test_another_dialect_is_another_backend),
    };

    int failed = conf_case_enter() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
    return conf_case_leave(NULL, 0) ? failed : 1;
}
