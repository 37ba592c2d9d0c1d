/* Layers and their origins, and every mistake told at once with its place. */
#include "conf_case.h"
#include <signal.h>
#include <sys/wait.h>

static void test_defaults(void **state)
{
    (void)state;
    struct conf *conf = good(NULL, "RESPGATE_BACKEND_URL=redis://127.0.0.1:6379/0", NULL);
    static const struct {
        const char *section, *key;
        int64_t number;
    } numbers[] = {
        {"listen", "unix_socket_mode", 0660},
        {"listen", "workers", 1},
        {"listen", "max_clients", 10000},
        {"listen", "auth", 0},
        {"listen", "login_timeout", 10000},
        {"listen", "idle_timeout", 0},
        {"listen", "drain_timeout", 20000},
        {"listen", "max_bulk", 512 << 20},
        {"listen", "max_args", 1048576},
        {"listen", "query_buffer", 1 << 20},
        {"listen", "stream_threshold", 64 << 10},
        {"listen", "reply_buffer", 64 << 10},
        {"listen", "reply_buffer_max", 1 << 20},
        {"listen", "slow_client_timeout", 10000},
        {"listen", "pipeline_depth", 1024},
        {"listen", "script_cache", 1 << 20},
        {"fallback", "queue_timeout", 1000},
        {"fallback", "on_unknown", 0},
        {"fallback", "failback", 0},
        {"fallback", "failback_hold", 10000},
        {"fallback", "failback_hold_max", 600000},
        {"fallback", "on_dataset_change", 0},
        {"fallback", "when_all_down", 0},
        {"fallback", "require", 0},
        {"health", "interval", 1000},
        {"health", "fast_interval", 200},
        {"health", "timeout", 500},
        {"health", "fall", 3},
        {"health", "rise", 2},
        {"health", "hang_threshold", 1000},
        {"health", "metered_interval", 30000},
        {"health", "start_grace", 5000},
        {"health", "seed", 0},
        {"tls", "verify", 0},
        {"tls", "min_version", 0},
        {"log", "level", 2},
        {"log", "format", 0},
    };
    for (size_t i = 0; i < COUNT(numbers); i++) {
        assert_int_equal(conf_number(conf, numbers[i].section, NULL, numbers[i].key), numbers[i].number);
        assert_string_equal(conf_origin(conf, numbers[i].section, NULL, numbers[i].key), "default");
    }
    assert_string_equal(conf_string(conf, "listen", NULL, "address"), "127.0.0.1:6380");
    assert_string_equal(conf_string(conf, "listen", NULL, "unix_socket"), "");
    assert_string_equal(conf_string(conf, "listen", NULL, "password"), "");
    assert_string_equal(conf_string(conf, "listen", NULL, "refuse_commands"), "default");
    assert_string_equal(conf_string(conf, "log", NULL, "level"), "info");
    assert_int_equal(conf_names(conf, "backend"), 1);
    assert_string_equal(conf_name_at(conf, "backend", 0), "default");
    assert_string_equal(conf_string(conf, "backend", "default", "url"), "redis://127.0.0.1:6379/0");
    assert_int_equal(conf_number(conf, "backend", "default", "connections"), 1);
    assert_int_equal(conf_number(conf, "backend", "default", "max_connections"), 1024);
    assert_int_equal(conf_number(conf, "backend", "default", "connect_timeout"), 2000);
    assert_int_equal(conf_number(conf, "backend", "default", "command_timeout"), 0);
    assert_int_equal(conf_number(conf, "backend", "default", "idle_timeout"), 60000);
    assert_int_equal(conf_number(conf, "backend", "default", "priority"), 100);
    assert_int_equal(conf_number(conf, "backend", "default", "metered"), 0);
    assert_string_equal(conf_string(conf, "backend", "default", "dialect"), "auto");
    assert_string_equal(conf_string(conf, "backend", "default", "dataset"), "");
    assert_string_equal(conf_string(conf, "backend", "default", "url_env"), "");
    assert_string_equal(conf_string(conf, "tls", NULL, "ca_file"), "system");
    assert_string_equal(conf_string(conf, "tls", NULL, "cert_file"), "");
    assert_string_equal(conf_string(conf, "tls", NULL, "key_file"), "");
    assert_string_equal(conf_expect(conf), "");
    assert_string_equal(conf_expect_origin(conf), "");
    assert_string_equal(conf_warnings(conf), "");
    assert_int_equal(conf_names(conf, "user"), 0);
    assert_int_equal(conf_overrides(conf), 0);
    assert_string_equal(conf_overridden(conf), "");
    assert_string_equal(conf_file(conf), "t.ini");
    conf_free(conf);
}

/* Higher layers win; each value knows its origin. */
static void test_layers(void **state)
{
    (void)state;
    struct conf *conf = good("\n[listen]\nworkers = 2\nmax_clients = 7\naddress = [::1]:7000\n" BACKEND,
                             "RESPGATE_LISTEN_WORKERS=3\nRESPGATE_LISTEN_MAX_CLIENTS=8\nRESPGATE_LOG_FORMAT=json",
                             "listen.workers=4\nbackend.a.connections=2\nbackend.b.url=unix:///s");
    assert_int_equal(conf_number(conf, "listen", NULL, "workers"), 4);
    assert_string_equal(conf_origin(conf, "listen", NULL, "workers"), "--set");
    assert_int_equal(conf_number(conf, "listen", NULL, "max_clients"), 8);
    assert_string_equal(conf_origin(conf, "listen", NULL, "max_clients"), "env RESPGATE_LISTEN_MAX_CLIENTS");
    assert_string_equal(conf_string(conf, "listen", NULL, "address"), "[::1]:7000");
    assert_string_equal(conf_origin(conf, "listen", NULL, "address"), "t.ini:5");
    assert_int_equal(conf_number(conf, "log", NULL, "format"), 1);
    assert_int_equal(conf_number(conf, "backend", "a", "connections"), 2);
    assert_string_equal(conf_origin(conf, "backend", "a", "url"), "t.ini:7");
    assert_int_equal(conf_names(conf, "backend"), 2);
    assert_string_equal(conf_name_at(conf, "backend", 1), "b");
    assert_int_equal(conf_overrides(conf), 2);
    assert_string_equal(conf_overridden(conf), "listen.workers listen.max_clients");
    conf_free(conf);
}

static void test_names_in_order(void **state)
{
    (void)state;
    struct conf *conf = good("[backend z]\nurl=redis://z\n[backend b]\nurl=redis://b\n",
                             "RESPGATE_BACKEND_M_N_URL=redis://m\nRESPGATE_BACKEND_B_CONNECTIONS=2\n"
                             "RESPGATE_BACKEND_URL=redis://d",
                             "backend.a.url=redis://a\nbackend.connections=3");
    static const char *const names[] = {"z", "b", "m-n", "default", "a"};
    assert_int_equal(conf_names(conf, "backend"), COUNT(names));
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_string_equal(conf_name_at(conf, "backend", i), names[i]);
    }
    assert_int_equal(conf_number(conf, "backend", "b", "connections"), 2);
    assert_int_equal(conf_number(conf, "backend", "default", "connections"), 3);
    conf_free(conf);
}

/* Asking for what the table does not have, or by the wrong type, ends the process instead of giving a guess. */
static bool ends(const struct conf *conf, bool as_number, const char *section, const char *name, const char *key)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        fclose(stderr);
        if (as_number) {
            conf_number(conf, section, name, key);
        } else {
            conf_string(conf, section, name, key);
        }
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void test_misuse(void **state)
{
    (void)state;
    struct conf *conf = good("[user a]\npassword = x\n" BACKEND, NULL, "listen.auth=password");
    assert_true(ends(conf, true, "liste", NULL, "workers"));
    assert_true(ends(conf, true, "listen", NULL, "worker"));
    assert_true(ends(conf, true, "listen", "a", "workers"));
    assert_true(ends(conf, true, "backend", NULL, "connections"));
    assert_true(ends(conf, true, "backend", "b", "connections"));
    static const char *const texts[] = {"address", "unix_socket", "password", "refuse_commands"};
    static const char *const numbers[] = {"workers", "max_bulk", "login_timeout"};
    static const char *const both[] = {"auth", "unix_socket_mode"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_true(ends(conf, true, "listen", NULL, texts[i]) && !ends(conf, false, "listen", NULL, texts[i]));
    }
    for (size_t i = 0; i < COUNT(numbers); i++) {
        assert_true(!ends(conf, true, "listen", NULL, numbers[i]) && ends(conf, false, "listen", NULL, numbers[i]));
    }
    for (size_t i = 0; i < COUNT(both); i++) {
        assert_true(!ends(conf, true, "listen", NULL, both[i]) && !ends(conf, false, "listen", NULL, both[i]));
    }
    static const char *const backend_texts[] = {"url", "url_env", "dataset", "ca_file"};
    for (size_t i = 0; i < COUNT(backend_texts); i++) {
        assert_true(ends(conf, true, "backend", "a", backend_texts[i]));
        assert_false(ends(conf, false, "backend", "a", backend_texts[i]));
    }
    assert_true(!ends(conf, true, "backend", "a", "metered") && ends(conf, false, "backend", "a", "metered"));
    conf_free(conf);
}

static void test_section_twice(void **state)
{
    (void)state;
    wrong("[log]\n" BACKEND "[log]\nlevel = info\n[backend a]\nconnections = 2\n", NULL, NULL,
          "t.ini:4: [log]: this section stands at line 1 already\n"
          "t.ini:6: [backend a]: this section stands at line 2 already");
}

/* Nothing is applied, everything is told. */
static void test_all_at_once(void **state)
{
    (void)state;
    wrong(
        "early = 1\n"
        "[listen]\n"
        "workers = 99\n"
        "workers = 2\n"
        "addres = x\n"
        " indented = 1\n"
        "nothing\n"
        "[listn]\n"
        "passed = over\n"
        "[backend]\n"
        "[log x]\n"
        "[backend Bad]\n"
        "[backend a]\n"
        "connections = 1\n"
        "[log]\n"
        "[log]\n"
        "level = loud ; why\n",
        "RESPGATE_LISTEN_WORKER=1\nRESPGATE_BACKND_URL=x\nRESPGATE_BACKEND_A_URI=x\nRESPGATE_FOO=1\nRESPGATE_=1\n"
        "RESPGATE_USER_PASSWORD=x\nRESPGATE_listen_WORKERS=1\nRESPGATE_BACKEND__URL=redis://h\nRESPGATE_EXPECT=b",
        "listen.workers=1\nlisten.workers=1\nlog=1\nlogg.level=info\nlog.levle=info\nbackend.a.b.c=1\nuser.password=x\n"
        "log.x.level=info\nno-equals\nbackend.A.url=redis://h",
        "t.ini:1: the key stands before any [section]\n"
        "t.ini:3: listen.workers: \"99\" is not a number from 1 to 64\n"
        "t.ini:4: listen.workers: set twice, first by t.ini:3\n"
        "t.ini:5: listen.addres: unknown key, did you mean address\n"
        "t.ini:6: the line is indented, and values cannot be continued on a further line\n"
        "t.ini:7: the line has neither '=' nor ':'\n"
        "t.ini:8: [listn]: unknown section, did you mean [listen]\n"
        "t.ini:10: [backend]: needs a name, as in [backend NAME]\n"
        "t.ini:11: [log]: takes no name\n"
        "t.ini:12: backend.Bad: the name is not 1 to 32 of a-z, 0-9 and - (neither first nor last)\n"
        "t.ini:16: [log]: this section stands at line 15 already\n"
        "t.ini:17: a blank before ';' or '#' starts no comment here: give the comment a line of its own, or a value "
        "that "
        "needs these bytes through KEY_file or the environment\n"
        "env RESPGATE_LISTEN_WORKER: unknown variable, did you mean RESPGATE_LISTEN_WORKERS\n"
        "env RESPGATE_BACKND_URL: unknown variable, did you mean RESPGATE_BACKEND_URL\n"
        "env RESPGATE_BACKEND_A_URI: unknown variable, did you mean RESPGATE_BACKEND_A_URL\n"
        "env RESPGATE_FOO: unknown variable\n"
        "env RESPGATE_: unknown variable\n"
        "env RESPGATE_USER_PASSWORD: unknown variable\n"
        "env RESPGATE_listen_WORKERS: unknown variable, did you mean RESPGATE_LISTEN_WORKERS\n"
        "env RESPGATE_BACKEND__URL: unknown variable, did you mean RESPGATE_BACKEND_URL\n"
        "--set: listen.workers: set twice, first by --set\n"
        "--set: log: the key is missing\n"
        "--set: logg: unknown section, did you mean log\n"
        "--set: log.levle: unknown key, did you mean level\n"
        "--set: backend.b.c: unknown key\n"
        "--set: user.password: needs a name, as in user.NAME.password\n"
        "--set: log.level: takes no name\n"
        "--set: needs section.key=value or section.NAME.key=value\n"
        "--set: backend.A: the name is not 1 to 32 of a-z, 0-9 and - (neither first nor last)\n"
        "t.ini:13: backend.a.url: is required, as is or by a key that ends in _file, or by url_env\n"
        "env RESPGATE_EXPECT: there is no backend \"b\", but a");
}

static void test_backend_needed(void **state)
{
    (void)state;
    wrong(NULL, NULL, NULL, "backend: no backend is configured, set [backend NAME] url or RESPGATE_BACKEND_URL");
    wrong(NULL, "RESPGATE_BACKEND_CONNECTIONS=1", NULL,
          "env RESPGATE_BACKEND_CONNECTIONS: backend.default.url: is required, as is or by a key that ends in _file, "
          "or by url_env");
    wrong("[backend a]\nurl =\n", NULL, NULL, "t.ini:2: backend.a.url: is empty, a value is required");
    wrong("[backend a]\nurl = https://eu1.upstash.io\n", NULL, NULL,
          "t.ini:2: backend.a.url: is a REST address; use the redis:// or rediss:// one");
}

/* A hundred are enough for anyone; the rest is counted. */
static void test_many_mistakes(void **state)
{
    (void)state;
    char ini[8192] = BACKEND "[listen]\n";
    for (int i = 0; i < 150; i++) {
        strcat(ini, "q = 1\n");
    }
    char *errors;
    assert_null(load(ini, NULL, NULL, &errors));
    size_t lines = 1;
    for (const char *c = errors; *c; c++) {
        lines += *c == '\n';
    }
    assert_int_equal(lines, 101);
    assert_non_null(strstr(errors, "\nt.ini:103: listen.q: unknown key\nand 50 more"));
    free(errors);
}

static void test_too_many_sections(void **state)
{
    (void)state;
    char *ini = malloc(64 * 1024);
    assert_non_null(ini);
    size_t len = 0;
    for (int i = 0; i < 1000; i++) {
        len += (size_t)sprintf(ini + len, "[backend b%d]\nurl = redis://h%d\n", i, i);
    }
    char *errors;
    assert_null(load(ini, NULL, NULL, &errors));
    assert_ptr_equal(strstr(errors, "t.ini:1987: backend: more than 1000 sections\n"), errors);
    free(errors);
    free(ini);
}

static void test_file_missing(void **state)
{
    (void)state;
    char absent[] = "RESPGATE_CONFIG=absent.ini", present[] = "RESPGATE_CONFIG=t.ini";
    char backend[] = "RESPGATE_BACKEND_URL=redis://h";
    char *env[] = {absent, backend, NULL};
    struct conf_sources sources = {.environ_ = env};
    char *errors;
    assert_null(conf_load(&sources, &errors));
    assert_string_equal(errors, "env RESPGATE_CONFIG: cannot read absent.ini: No such file or directory");
    free(errors);
    sources.file = ".";
    assert_null(conf_load(&sources, &errors));
    assert_string_equal(errors, "-c: cannot read .: Is a directory");
    free(errors);

    write_file("t.ini", "[log]\nlevel = warn\n", 19);
    env[0] = present;
    sources.file = NULL;
    struct conf *conf = conf_load(&sources, &errors);
    assert_non_null(conf);
    assert_string_equal(conf_origin(conf, "log", NULL, "level"), "t.ini:2");
    conf_free(conf);

    /* Without any hint the usual file is read where there is one, and is not missed where there is none. */
    const char *usual = "/etc/respgate/respgate.ini";
    sources.environ_ = env + 1;
    conf = conf_load(&sources, &errors);
    assert_true(conf || access(usual, F_OK) == 0);
    if (conf) {
        assert_string_equal(conf_file(conf), access(usual, F_OK) == 0 ? usual : "");
    }
    free(errors);
    conf_free(conf);
}

static void test_file_too_large(void **state)
{
    (void)state;
    size_t len = (1 << 20) + 1;
    char *bytes = malloc(len);
    assert_non_null(bytes);
    memset(bytes, '\n', len);
    char backend[] = "RESPGATE_BACKEND_URL=redis://h";
    char *env[] = {backend, NULL};
    struct conf_sources sources = {.file = "t.ini", .environ_ = env};
    char *errors;
    write_file("t.ini", bytes, len);
    assert_null(conf_load(&sources, &errors));
    assert_string_equal(errors, "t.ini: the file is larger than 1MiB");
    free(errors);
    write_file("t.ini", bytes, len - 1);
    struct conf *conf = conf_load(&sources, &errors);
    assert_non_null(conf);
    conf_free(conf);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),          cmocka_unit_test(test_layers),
        cmocka_unit_test(test_names_in_order),    cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_section_twice),     cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_backend_needed),    cmocka_unit_test(test_many_mistakes),
        cmocka_unit_test(test_too_many_sections), cmocka_unit_test(test_file_missing),
        cmocka_unit_test(test_file_too_large),
    };
    int failed = conf_case_enter() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
    return conf_case_leave(NULL, 0) ? failed : 1;
}
