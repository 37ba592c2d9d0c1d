/* Names in the environment: whose they are, what is ambiguous, and what is foreign. */
#include "conf_case.h"

static void test_ambiguous_variables(void **state)
{
    (void)state;
    struct conf *conf = good(NULL,
                             "RESPGATE_BACKEND_MAX_CONNECTIONS=9\nRESPGATE_BACKEND_URL=redis://h\n"
                             "RESPGATE_BACKEND_B_MAX_CONNECTIONS=8\nRESPGATE_BACKEND_B_URL=redis://b",
                             NULL);
    assert_int_equal(conf_number(conf, "backend", "default", "max_connections"), 9);
    assert_int_equal(conf_number(conf, "backend", "b", "max_connections"), 8);
    conf_free(conf);
    wrong("[backend max]\nurl = redis://h\n", "RESPGATE_BACKEND_MAX_CONNECTIONS=9\nRESPGATE_BACKEND_URL=redis://d",
          NULL,
          "env RESPGATE_BACKEND_MAX_CONNECTIONS: could mean backend.max.connections too, since there is a backend max: "
          "use the "
          "file or --set, or rename it");
    wrong("[backend b]\nurl = redis://h\n", "RESPGATE_BACKEND_B_MAX_CONNECTIONS=9", "backend.b-max.url=redis://m",
          "env RESPGATE_BACKEND_B_MAX_CONNECTIONS: could mean backend.b-max.connections too, since there is a backend "
          "b-max: "
          "use the file or --set, or rename it");
    wrong(NULL, "RESPGATE_BACKEND_URL=redis://h\nRESPGATE_BACKEND_DEFAULT_URL=redis://h", NULL,
          "env RESPGATE_BACKEND_DEFAULT_URL: backend.default.url: set twice, first by env RESPGATE_BACKEND_URL");
    wrong(NULL, "RESPGATE_BACKEND_URL=redis://h\nRESPGATE_BACKEND_URL=redis://h", NULL,
          "env RESPGATE_BACKEND_URL: backend.default.url: set twice, first by env RESPGATE_BACKEND_URL");
}

/* Some keys end in _FILE by themselves; with secrets the ending means that the value stands in a file. */
static void test_keys_with_tails(void **state)
{
    (void)state;
    write_file("url", "redis://h2\n", 11);
    struct conf *conf = good(NULL,
                             "RESPGATE_BACKEND_UP_STREAM_URL_ENV=THE_URL\nTHE_URL=redis://h1\n"
                             "RESPGATE_BACKEND_DOCKER_CA_FILE=ca.pem\nRESPGATE_BACKEND_DOCKER_URL_FILE=url\n"
                             "RESPGATE_BACKEND_CA_FILE=d.pem\nRESPGATE_BACKEND_URL_ENV=OTHER\nOTHER=redis://h3\n"
                             "RESPGATE_BACKEND_DOCKER_PRIORITY=7\nRESPGATE_BACKEND_DOCKER_METERED=on\n"
                             "RESPGATE_BACKEND_DOCKER_DATASET=local\nRESPGATE_TLS_CA_FILE=t.pem\n"
                             "RESPGATE_HEALTH_FAST_INTERVAL=10ms\nRESPGATE_FALLBACK_FAILBACK_HOLD_MAX=11m",
                             NULL);
    assert_int_equal(conf_names(conf, "backend"), 3);
    assert_string_equal(conf_string(conf, "backend", "up-stream", "url"), "redis://h1");
    assert_string_equal(conf_string(conf, "backend", "docker", "url"), "redis://h2");
    assert_string_equal(conf_string(conf, "backend", "docker", "ca_file"), "ca.pem");
    assert_int_equal(conf_number(conf, "backend", "docker", "priority"), 7);
    assert_int_equal(conf_number(conf, "backend", "docker", "metered"), 1);
    assert_string_equal(conf_string(conf, "backend", "docker", "dataset"), "local");
    assert_string_equal(conf_string(conf, "backend", "default", "url"), "redis://h3");
    assert_string_equal(conf_string(conf, "backend", "default", "ca_file"), "d.pem");
    assert_string_equal(conf_string(conf, "backend", "up-stream", "ca_file"), "t.pem");
    assert_int_equal(conf_number(conf, "health", NULL, "fast_interval"), 10);
    assert_int_equal(conf_number(conf, "fallback", NULL, "failback_hold_max"), 660000);
    conf_free(conf);
    wrong(BACKEND, "RESPGATE_BACKEND_A_CA_FILE_FILE=x\nRESPGATE_BACKEND_A_URL_ENV_FILE=x\nRESPGATE_BACKEND_A_CA=x",
          NULL,
          "env RESPGATE_BACKEND_A_CA_FILE_FILE: unknown variable\n"
          "env RESPGATE_BACKEND_A_URL_ENV_FILE: unknown variable\n"
          "env RESPGATE_BACKEND_A_CA: unknown variable");
    /* A backend that is called as a key begins. */
    wrong("[backend url]\nurl = redis://h\n[backend ca]\nurl = redis://h4\n",
          "RESPGATE_BACKEND_URL_URL_FILE=url\nRESPGATE_BACKEND_CA_CA_FILE=x", NULL,
          "env RESPGATE_BACKEND_URL_URL_FILE: backend.url.url: names another backend than t.ini:2 does; remove one of "
          "the "
          "two, or pass --override backend");
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
    conf =
        good("[backend a]\nurl_env = REDIS_URL\n[backend b]\nurl_env = UPSTASH_REDIS_URL\n",
             "REDIS_URL=redis://h\nUPSTASH_REDIS_URL=rediss://h.upstash.io\nUPSTASH_REDIS_REST_URL=x\nKV_URL=x", NULL);
    assert_string_equal(conf_ignored_env(conf), "UPSTASH_REDIS_REST_URL KV_URL");
    conf_free(conf);
    conf = good(BACKEND, "HOME=/", NULL);
    assert_string_equal(conf_ignored_env(conf), "");
    conf_free(conf);
    wrong(BACKEND, "RESPGATE_METRICS_PORT=9380", NULL, "env RESPGATE_METRICS_PORT: unknown variable");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ambiguous_variables),
        cmocka_unit_test(test_keys_with_tails),
        cmocka_unit_test(test_unknown_variables),
        cmocka_unit_test(test_foreign_variables),
    };
    int failed = conf_case_enter() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
    static const char *const files[] = {"url"};
    return conf_case_leave(files, COUNT(files)) ? failed : 1;
}
