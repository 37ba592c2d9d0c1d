/* Backends: which Redis each is, by which layer and variable; what they have from [tls]; which one is expected. */
#include "conf_case.h"

#define ELSEWHERE(what) "names another " what " than t.ini:2 does; remove one of the two, or pass --override backend"

static struct conf *load_with(struct conf_sources *sources, const char *ini, char **errors)
{
    write_file("t.ini", ini, strlen(ini));
    sources->file = "t.ini";
    return conf_load(sources, errors);
}

static void test_identity(void **state)
{
    (void)state;
    wrong("[backend a]\nurl = redis://h:6379/0\n", "RESPGATE_BACKEND_A_URL=redis://h:6379/1", NULL,
          "env RESPGATE_BACKEND_A_URL: backend.a.url: " ELSEWHERE("backend"));
    static const char *const others[] = {"redis://h2", "redis://h:7000", "rediss://h", "redis://app@h", "unix:///h"};
    for (size_t i = 0; i < COUNT(others); i++) {
        char set[128];
        snprintf(set, sizeof set, "backend.a.url=%s", others[i]);
        wrong(BACKEND, NULL, set, "--set: backend.a.url: " ELSEWHERE("backend"));
    }
    struct conf *conf =
        good("[backend a]\nurl = redis://u:old@H:6379/0\n", "RESPGATE_BACKEND_A_URL=redis://u:new@h", NULL);
    assert_string_equal(conf_string(conf, "backend", "a", "url"), "redis://u:new@h");
    assert_int_equal(conf_overrides(conf), 1);
    assert_string_equal(conf_overridden(conf), "backend.a.url");
    conf_free(conf);
    wrong("[backend a]\nurl = unix:///A\n", NULL, "backend.a.url=unix:///a",
          "--set: backend.a.url: " ELSEWHERE("backend"));
    wrong("[backend a]\ndataset = local\nurl = redis://h\n", "RESPGATE_BACKEND_A_DATASET=", "backend.a.dataset=local",
          "env RESPGATE_BACKEND_A_DATASET: backend.a.dataset: " ELSEWHERE("data set"));
    conf_free(good("[backend a]\ndataset = local\nurl = redis://h\n", NULL, "backend.a.dataset=local"));
    wrong("[backend none]\nurl = redis://h\n", NULL, NULL,
          "t.ini:2: backend.none: stands for no backend; another name");
}

static void test_override(void **state)
{
    (void)state;
    char url[] = "RESPGATE_BACKEND_A_URL=redis://other/3", dataset[] = "RESPGATE_BACKEND_A_DATASET=other";
    char *env[] = {url, dataset, NULL};
    struct conf_sources sources = {.environ_ = env, .override_backend = true};
    char *errors;
    struct conf *conf = load_with(&sources, BACKEND "dataset = local\n", &errors);
    assert_non_null(conf);
    assert_string_equal(conf_string(conf, "backend", "a", "url"), "redis://other/3");
    assert_string_equal(conf_string(conf, "backend", "a", "dataset"), "other");
    assert_string_equal(conf_overridden(conf), "backend.a.url backend.a.dataset");
    conf_free(conf);
    sources.override_backend = false;
    assert_null(load_with(&sources, BACKEND "dataset = local\n", &errors));
    assert_non_null(
        strstr(errors, "env RESPGATE_BACKEND_A_URL: backend.a.url: names another backend than t.ini:2 does"));
    assert_non_null(strstr(
        errors, "\nenv RESPGATE_BACKEND_A_DATASET: backend.a.dataset: names another data set than t.ini:3 does"));
    free(errors);
}

/* Only the named variable is read, and what it holds is a URL like any other. */
static void test_url_env(void **state)
{
    (void)state;
    struct conf *conf =
        good("[backend a]\nurl_env = MY_URL\n", "MY_URLS=redis://x\nMY_URL=redis://u:p@h/2\nMY=x", NULL);
    assert_string_equal(conf_string(conf, "backend", "a", "url"), "redis://u:p@h/2");
    assert_string_equal(conf_origin(conf, "backend", "a", "url"), "env MY_URL via t.ini:2");
    assert_true(conf_is_set(conf, "backend", "a", "url"));
    conf_free(conf);
    conf_free(good(BACKEND "url_env =\n", NULL, NULL));
    wrong("[backend a]\nurl_env = NONE\n[backend b]\nurl_env = VOID\n[backend c]\nurl_env = REST\n[backend d]\n"
          "url_env = PLAIN\n[backend e]\nurl_env =\n[backend f]\nurl_env = A B\n",
          "VOID=\nREST=https://eu1.upstash.io\nPLAIN=redis://eu1.upstash.io", NULL,
          "t.ini:12: backend.f.url_env: is not the name of an environment variable\n"
          "t.ini:2: backend.a.url_env: the variable NONE is not set\n"
          "t.ini:4: backend.b.url_env: the variable VOID is empty\n"
          "t.ini:6: backend.c.url_env: REST: is a REST address; use the redis:// or rediss:// one\n"
          "t.ini:8: backend.d.url_env: PLAIN: a host under upstash.io needs rediss://\n"
          "t.ini:9: backend.e.url: is required, as is or by a key that ends in _file, or by url_env\n"
          "t.ini:11: backend.f.url: is required, as is or by a key that ends in _file, or by url_env");
}

static void test_one_source(void **state)
{
    (void)state;
    write_file("url", "redis://h\n", 10);
    wrong("[backend a]\nurl_env = MY_URL\nurl = redis://h\n[backend b]\nurl_file = url\nurl_env = MY_URL\n",
          "MY_URL=redis://h", NULL,
          "t.ini:2: backend.a.url_env: url is given too, by t.ini:3; keep one of the two\n"
          "t.ini:6: backend.b.url_env: url is given too, by t.ini:5; keep one of the two\n"
          "t.ini:5: backend.b.url: is the same backend as backend.a.url, which is set by t.ini:3");
    wrong(
        "[backend a]\nurl_env = MY_URL\n", "MY_URL=redis://i\nRESPGATE_BACKEND_A_URL=redis://h", NULL,
        "env RESPGATE_BACKEND_A_URL: backend.a.url: names another backend than env MY_URL via t.ini:2 does; remove one "
        "of the two, or pass --override backend");
    wrong(BACKEND, "MY_URL=redis://i\nRESPGATE_BACKEND_A_URL_ENV=MY_URL", NULL,
          "env MY_URL via env RESPGATE_BACKEND_A_URL_ENV: backend.a.url: " ELSEWHERE("backend"));
    wrong(
        "[backend a]\nurl_env = MY_URL\n", "MY_URL=redis://i", "backend.a.url_file=url",
        "--set: backend.a.url: names another backend than env MY_URL via t.ini:2 does; remove one of the two, or pass "
        "--override backend");
    struct conf *conf = good("[backend a]\nurl_env = MY_URL\n", "MY_URL=redis://:p@h", "backend.a.url_file=url");
    assert_string_equal(conf_string(conf, "backend", "a", "url"), "redis://h");
    assert_string_equal(conf_overridden(conf), "backend.a.url");
    conf_free(conf);
}

static void test_own_listener(void **state)
{
    (void)state;
    static const struct {
        const char *address, *url;
        bool loop;
    } cases[] = {
        {"127.0.0.1:6380", "redis://127.0.0.1:6380", true},
        {"127.0.0.1:6380", "rediss://localhost:6380/3", true},
        {"0.0.0.0:6379", "redis://", true},
        {"[::]:7000", "redis://[::1]:7000", true},
        {"[::]:7000", "redis://localhost:7000", true},
        {"proxy:7000", "redis://u:p@Proxy:7000", true},
        {"127.0.0.1:6380", "redis://127.0.0.1:6379", false},
        {"0.0.0.0:6380", "redis://redis:6380", false},
        {"10.0.0.1:6380", "redis://localhost:6380", false},
        {"127.0.0.1:6380", "redis://127.0.0.2:6380", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char ini[128], want[160];
        snprintf(ini, sizeof ini, "[backend a]\nurl = %s\n[listen]\naddress = %s\n", cases[i].url, cases[i].address);
        snprintf(want, sizeof want, "t.ini:2: backend.a.url: is our own listener (listen.address %s)",
                 cases[i].address);
        if (cases[i].loop) {
            wrong(ini, NULL, NULL, want);
        } else {
            conf_free(good(ini, NULL, NULL));
        }
    }
    static const char ini[] =
        "[backend a]\nurl = unix:///run/r.sock?db=2\n[listen]\naddress =\nunix_socket = /run/r.sock\n";
    wrong(ini, NULL, NULL, "t.ini:2: backend.a.url: is our own listener (listen.unix_socket /run/r.sock)");
    conf_free(good(ini, NULL, "listen.unix_socket=/run/s.sock"));
    wrong(NULL, "REDIS_URL=redis://:p@127.0.0.1:6380/0\nRESPGATE_BACKEND_URL_ENV=REDIS_URL", NULL,
          "env REDIS_URL via env RESPGATE_BACKEND_URL_ENV: backend.default.url: is our own listener (listen.address "
          "127.0.0.1:6380)");
}

static void test_equal_backends(void **state)
{
    (void)state;
    wrong(
        "[backend a]\nurl = redis://h\ndataset = x\n[backend b]\nurl = redis://i\n[backend c]\nurl = redis://:p@H/0\n",
        "RESPGATE_BACKEND_URL=redis://h:6379", NULL,
        "t.ini:7: backend.c.url: is the same backend as backend.a.url, which is set by t.ini:2\n"
        "env RESPGATE_BACKEND_URL: backend.default.url: is the same backend as backend.a.url, which is set by t.ini:2");
    conf_free(good("[backend a]\nurl = redis://h\n[backend b]\nurl = redis://h/1\n[backend c]\nurl = redis://u@h\n",
                   NULL, NULL));
}

static void test_inheritance(void **state)
{
    (void)state;
    struct conf *conf =
        good("[tls]\nverify = chain\ncert_file = c\nkey_file = k\n" BACKEND
             "verify =\nmin_version = 1.3\ncert_file = own\n[backend b]\nurl = redis://i\nverify = full\n",
             NULL, NULL);
    static const struct {
        const char *name, *key, *value, *origin;
        bool set;
    } cases[] = {
        {"a", "verify", "chain", "t.ini:2", false},    {"a", "min_version", "1.3", "t.ini:8", true},
        {"a", "cert_file", "own", "t.ini:9", true},    {"a", "key_file", "k", "t.ini:4", false},
        {"a", "ca_file", "system", "default", false},  {"b", "verify", "full", "t.ini:12", true},
        {"b", "min_version", "1.2", "default", false}, {"b", "cert_file", "c", "t.ini:3", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_string_equal(conf_string(conf, "backend", cases[i].name, cases[i].key), cases[i].value);
        assert_string_equal(conf_origin(conf, "backend", cases[i].name, cases[i].key), cases[i].origin);
        assert_int_equal(conf_is_set(conf, "backend", cases[i].name, cases[i].key), cases[i].set);
    }
    assert_int_equal(conf_number(conf, "backend", "a", "verify"), 1);
    assert_int_equal(conf_number(conf, "backend", "b", "verify"), 0);
    assert_int_equal(conf_number(conf, "backend", "a", "min_version"), 1);
    assert_true(conf_is_set(conf, "tls", NULL, "verify"));
    assert_false(conf_is_set(conf, "tls", NULL, "min_version"));
    conf_free(conf);
}

static void test_certificates(void **state)
{
    (void)state;
    wrong("[tls]\ncert_file = c\n" BACKEND, NULL, NULL, "t.ini:2: tls.cert_file: is set but key_file is not");
    wrong("[tls]\nkey_file = k\n" BACKEND, NULL, NULL, "t.ini:2: tls.key_file: is set but cert_file is not");
    wrong(BACKEND, NULL, "backend.a.key_file=k", "--set: backend.a.key_file: is set but cert_file is not");
    wrong(BACKEND "cert_file = c\n", NULL, NULL, "t.ini:3: backend.a.cert_file: is set but key_file is not");
    conf_free(good("[tls]\ncert_file = c\nkey_file = k\n" BACKEND "key_file = own\n", NULL, NULL));
    conf_free(good(BACKEND "cert_file = c\nkey_file = k\n", NULL, NULL));
}

/* What a mistake hides is not judged by the value beneath it. */
static void test_no_mistakes_out_of_mistakes(void **state)
{
    (void)state;
    wrong("[backend a]\nurl = redis://127.0.0.1:6380\n", NULL, "listen.address=x",
          "--set: listen.address: the port is missing; allowed is host:port or [v6]:port");
    wrong(BACKEND "[backend b]\nurl = redis://h\n", NULL, "backend.b.url=redis://h:0",
          "--set: backend.b.url: the port is not a number from 1 to 65535");
    wrong("[tls]\ncert_file = c\n" BACKEND
          "[backend b]\nurl = redis://i\nkey_file = k\n[backend c]\nurl = redis://j\ncert_file = c\n",
          NULL, "tls.key_file=\x01\nbackend.b.cert_file=\x01",
          "--set: tls.key_file: holds a control byte or is not UTF-8\n"
          "--set: backend.b.cert_file: holds a control byte or is not UTF-8");
}

static void test_expect(void **state)
{
    (void)state;
    static const char ini[] = BACKEND "[backend b-c]\nurl = redis://i\n";
    struct conf *conf = good(ini, "RESPGATE_EXPECT=b-c", NULL);
    assert_string_equal(conf_expect(conf), "b-c");
    assert_string_equal(conf_expect_origin(conf), "env RESPGATE_EXPECT");
    conf_free(conf);
    wrong(ini, "RESPGATE_EXPECT=c", NULL, "env RESPGATE_EXPECT: there is no backend \"c\", but a, b-c");
    wrong(ini, "RESPGATE_EXPECT=", NULL, "env RESPGATE_EXPECT: there is no backend \"\", but a, b-c");
    wrong(NULL, "RESPGATE_EXPECT=c", NULL,
          "backend: no backend is configured, set [backend NAME] url or RESPGATE_BACKEND_URL");

    char from_env[] = "RESPGATE_EXPECT=nobody";
    char *env[] = {from_env, NULL};
    struct conf_sources sources = {.environ_ = env, .expect = "a"};
    char *errors;
    conf = load_with(&sources, ini, &errors);
    assert_non_null(conf);
    assert_string_equal(conf_expect(conf), "a");
    assert_string_equal(conf_expect_origin(conf), "--expect");
    conf_free(conf);
    sources.expect = "default";
    assert_null(load_with(&sources, ini, &errors));
    assert_string_equal(errors, "--expect: there is no backend \"default\", but a, b-c");
    free(errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),     cmocka_unit_test(test_override),
        cmocka_unit_test(test_url_env),      cmocka_unit_test(test_one_source),
        cmocka_unit_test(test_own_listener), cmocka_unit_test(test_equal_backends),
        cmocka_unit_test(test_inheritance),  cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_expect),       cmocka_unit_test(test_no_mistakes_out_of_mistakes),
    };
    static const char *const files[] = {"url"};
    int failed = conf_case_enter() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
    return conf_case_leave(files, COUNT(files)) ? failed : 1;
}
