/* Names in the environment: whose they are, what is ambiguous, and that no layer moves a backend silently. */
#include "conf_case.h"

static void test_backend_identity(void **state)
{
    (void)state;
    wrong("[backend a]\nurl = redis://h:6379/0\n", "RESPGATE_BACKEND_A_URL=redis://h:6379/1", NULL,
          "env RESPGATE_BACKEND_A_URL: backend.a.url: names another backend than t.ini:2 does; remove one of the two");
    static const char *const others[] = {"redis://h2", "redis://h:7000", "rediss://h", "redis://app@h", "unix:///h"};
    for (size_t i = 0; i < COUNT(others); i++) {
        char set[128];
        snprintf(set, sizeof set, "backend.a.url=%s", others[i]);
        wrong(BACKEND, NULL, set,
              "--set: backend.a.url: names another backend than t.ini:2 does; remove one of the two");
    }
    struct conf *conf =
        good("[backend a]\nurl = redis://u:old@H:6379/0\n", "RESPGATE_BACKEND_A_URL=redis://u:new@h", NULL);
    assert_string_equal(conf_string(conf, "backend", "a", "url"), "redis://u:new@h");
    assert_int_equal(conf_overrides(conf), 1);
    assert_string_equal(conf_overridden(conf), "backend.a.url");
    conf_free(conf);
    wrong("[backend a]\nurl = unix:///A\n", NULL, "backend.a.url=unix:///a",
          "--set: backend.a.url: names another backend than t.ini:2 does; remove one of the two");
}

static void test_ambiguous_variables(void **state)
{
    (void)state;
    struct conf *conf = good(NULL,
                             "RESPGATE_BACKEND_MAX_CONNECTIONS=9\nRESPGATE_BACKEND_URL=redis://h\n"
                             "RESPGATE_BACKEND_B_MAX_CONNECTIONS=8\nRESPGATE_BACKEND_B_URL=redis://h",
                             NULL);
    assert_int_equal(conf_number(conf, "backend", "default", "max_connections"), 9);
    assert_int_equal(conf_number(conf, "backend", "b", "max_connections"), 8);
    conf_free(conf);
    wrong("[backend max]\nurl = redis://h\n", "RESPGATE_BACKEND_MAX_CONNECTIONS=9\nRESPGATE_BACKEND_URL=redis://h",
          NULL,
          "env RESPGATE_BACKEND_MAX_CONNECTIONS: could mean backend.max.connections too, since there is a backend max: "
          "use the "
          "file or --set, or rename it");
    wrong("[backend b]\nurl = redis://h\n", "RESPGATE_BACKEND_B_MAX_CONNECTIONS=9", "backend.b-max.url=redis://h",
          "env RESPGATE_BACKEND_B_MAX_CONNECTIONS: could mean backend.b-max.connections too, since there is a backend "
          "b-max: "
          "use the file or --set, or rename it");
    wrong(NULL, "RESPGATE_BACKEND_URL=redis://h\nRESPGATE_BACKEND_DEFAULT_URL=redis://h", NULL,
          "env RESPGATE_BACKEND_DEFAULT_URL: backend.default.url: set twice, first by env RESPGATE_BACKEND_URL");
    wrong(NULL, "RESPGATE_BACKEND_URL=redis://h\nRESPGATE_BACKEND_URL=redis://h", NULL,
          "env RESPGATE_BACKEND_URL: backend.default.url: set twice, first by env RESPGATE_BACKEND_URL");
}

/* A variable's name is judged to its last byte. */
static void test_unknown_variables(void **state)
{
    (void)state;
    wrong(BACKEND,
          "RESPGATE_BACKEND_foo_URL=redis://h\nRESPGATE_LOGXLEVEL=info\nRESPGATE_BACKEND_A_SOMETHING=1\n"
          "RESPGATE_LOG_LEVELS=info\nRESPGATE_LOG=info\nRESPGATE_BACKEND_A.B_URL=redis://h\nRESPGATE_LOG_LEVEL_X=1",
          NULL,
          "env RESPGATE_BACKEND_foo_URL: unknown variable\n"
          "env RESPGATE_LOGXLEVEL: unknown variable, did you mean RESPGATE_LOG_LEVEL\n"
          "env RESPGATE_BACKEND_A_SOMETHING: unknown variable\n"
          "env RESPGATE_LOG_LEVELS: unknown variable, did you mean RESPGATE_LOG_LEVEL\n"
          "env RESPGATE_LOG: unknown variable\n"
          "env RESPGATE_BACKEND_A.B_URL: unknown variable\n"
          "env RESPGATE_LOG_LEVEL_X: unknown variable, did you mean RESPGATE_LOG_LEVEL");
    struct conf *conf = good(NULL, "RESPGATE_BACKEND_A0_Z_9_URL=redis://h", NULL);
    assert_string_equal(conf_name_at(conf, "backend", 0), "a0-z-9");
    conf_free(conf);
}

static void test_foreign_variables(void **state)
{
    (void)state;
    struct conf *conf =
        good(BACKEND,
             "PATH=/bin\nREDIS_URL=redis://x\nUPSTASH_REDIS_REST_TOKEN=t\nRESPGATE_PORT=tcp://10.0.0.1:6380\n"
             "RESPGATE_PORT_6380_TCP_ADDR=10.0.0.1\nRESPGATE_SERVICE_HOST=10.0.0.1\n"
             "RESPGATE_SERVICE_PORT_REDIS=1\nRESPGATE_METRICS_PORT=tcp://10.0.0.1:9380\n"
             "RESPGATE_METRICS_PORT_9380_TCP=x\nRESPGATE_METRICS_SERVICE_HOST=x\n"
             "RESPGATE_METRICS_SERVICE_PORT=1\nRESPGATE_METRICS_SERVICE_PORT_WEB=1\n"
             "KV_REST_API_URL=x\nKV_URL=x\nREDIS_TLS_URL=x\nREDIS_HOST=x\nREDIS_PORT=x\nREDIS_PASSWORD=x\n"
             "REDISCLOUD_URL=x\nVALKEY_URL=x\nREDIS_URLS=x\nMY_REDIS_URL=x\nredis_url=x",
             NULL);
    assert_string_equal(conf_ignored_env(conf),
                        "REDIS_URL UPSTASH_REDIS_REST_TOKEN KV_REST_API_URL KV_URL REDIS_TLS_URL "
                        "REDIS_HOST REDIS_PORT REDIS_PASSWORD REDISCLOUD_URL VALKEY_URL");
    conf_free(conf);
    conf = good(BACKEND, "HOME=/", NULL);
    assert_string_equal(conf_ignored_env(conf), "");
    conf_free(conf);
    wrong(BACKEND, "RESPGATE_METRICS_PORT=9380", NULL, "env RESPGATE_METRICS_PORT: unknown variable");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backend_identity),
        cmocka_unit_test(test_ambiguous_variables),
        cmocka_unit_test(test_unknown_variables),
        cmocka_unit_test(test_foreign_variables),
    };
    int failed = conf_case_enter() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
    return conf_case_leave(NULL, 0) ? failed : 1;
}
