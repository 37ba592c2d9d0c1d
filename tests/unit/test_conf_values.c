/* Values: what each type takes, with which words it refuses the rest, and rules between values. */
#include "conf/text.h"
#include "conf/value.h"
#include "conf_case.h"

/* One value of one option at a time: what is taken, and with which words the rest is refused. */
static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *set;
        int64_t number;
    } taken[] = {
        {"listen.workers=64", 64},
        {"listen.max_bulk=1024", 1024},
        {"listen.max_bulk=1KiB", 1024},
        {"listen.max_bulk=512MiB", 512 << 20},
        {"listen.query_buffer=1GiB", 1 << 30},
        {"listen.script_cache=0", 0},
        {"listen.login_timeout=0", 0},
        {"listen.login_timeout=0s", 0},
        {"listen.login_timeout=1500ms", 1500},
        {"listen.login_timeout=90s", 90000},
        {"listen.login_timeout=3m", 180000},
        {"listen.login_timeout=24h", 86400000},
        {"listen.unix_socket_mode=0600", 0600},
        {"listen.unix_socket_mode=777", 0777},
        {"listen.auth=backend", 2},
        {"log.level=debug", 3},
        {"tls.min_version=1.3", 1},
        {"tls.verify=none", 2},
        {"health.interval=1h", 3600000},
        {"health.fall=100", 100},
        {"health.hang_threshold=20ms", 20},
        {"health.start_grace=0", 0},
        {"health.seed=9007199254740992", INT64_C(1) << 53},
        {"fallback.failback=sticky", 2},
        {"fallback.failback_hold=10m", 600000},
        {"fallback.on_dataset_change=error_once", 1},
        {"fallback.when_all_down=none", 1},
        {"fallback.require=primary", 1},
    };
    for (size_t i = 0; i < COUNT(taken); i++) {
        struct conf *conf = good(BACKEND, NULL, taken[i].set);
        char key[64];
        snprintf(key, sizeof key, "%s", strchr(taken[i].set, '.') + 1);
        *strchr(key, '=') = '\0';
        char section[64];
        snprintf(section, sizeof section, "%.*s", (int)strcspn(taken[i].set, "."), taken[i].set);
        assert_int_equal(conf_number(conf, section, NULL, key), taken[i].number);
        conf_free(conf);
    }
    static const struct {
        const char *set, *error;
    } refused[] = {
        {"listen.workers=0", "--set: listen.workers: \"0\" is not a number from 1 to 64"},
        {"listen.workers=65", "--set: listen.workers: \"65\" is not a number from 1 to 64"},
        {"listen.workers=", "--set: listen.workers: \"\" is not a number from 1 to 64"},
        {"listen.workers=1 ", "--set: listen.workers: \"1 \" is not a number from 1 to 64"},
        {"listen.workers=+1", "--set: listen.workers: \"+1\" is not a number from 1 to 64"},
        {"listen.workers=01", "--set: listen.workers: \"01\" is not a number from 1 to 64"},
        {"listen.workers=18446744073709551617",
         "--set: listen.workers: \"18446744073709551617\" is not a number from 1 to 64"},
        {"listen.workers=123456789012345678901234567890123456789012345",
         "--set: listen.workers: \"1234567890123456789012345678901234567890...\" is not a number from 1 to 64"},
        {"listen.workers=\xff", "--set: listen.workers: holds a control byte or is not UTF-8"},
        {"listen.workers=1\t", "--set: listen.workers: holds a control byte or is not UTF-8"},
        {"listen.max_bulk=1023",
         "--set: listen.max_bulk: \"1023\" is not a size from 1KiB to 512MiB (bytes, or with KiB MiB GiB)"},
        {"listen.max_bulk=1GiB",
         "--set: listen.max_bulk: \"1GiB\" is not a size from 1KiB to 512MiB (bytes, or with KiB MiB GiB)"},
        {"listen.max_bulk=9007199254740992GiB",
         "--set: listen.max_bulk: \"9007199254740992GiB\" is not a size from 1KiB "
         "to 512MiB (bytes, or with KiB MiB GiB)"},
        {"listen.max_bulk=64k", "--set: listen.max_bulk: \"64k\" is not a size from 1KiB to 512MiB (bytes, or with KiB "
                                "MiB GiB)"},
        {"listen.max_bulk=64kib", "--set: listen.max_bulk: \"64kib\" is not a size from 1KiB to 512MiB (bytes, or with "
                                  "KiB MiB GiB)"},
        {"listen.login_timeout=10",
         "--set: listen.login_timeout: \"10\" is not a duration from 0 to 24h (with ms s m h)"},
        {"listen.login_timeout=1.5s",
         "--set: listen.login_timeout: \"1.5s\" is not a duration from 0 to 24h (with ms s m h)"},
        {"listen.login_timeout=-1s",
         "--set: listen.login_timeout: \"-1s\" is not a duration from 0 to 24h (with ms s m h)"},
        {"listen.login_timeout=25h",
         "--set: listen.login_timeout: \"25h\" is not a duration from 0 to 24h (with ms s m h)"},
        {"listen.slow_client_timeout=0",
         "--set: listen.slow_client_timeout: \"0\" is not a duration from 1ms to 24h (with ms s m h)"},
        {"listen.unix_socket_mode=0888",
         "--set: listen.unix_socket_mode: \"0888\" is not permissions in octal, 0000 to 0777"},
        {"listen.unix_socket_mode=0708",
         "--set: listen.unix_socket_mode: \"0708\" is not permissions in octal, 0000 to 0777"},
        {"listen.refuse_commands=default get",
         "--set: listen.refuse_commands: \"default get\" is not one of default|none "
         "alone, or names separated by blanks"},
        {"listen.oddressxx=1", "--set: listen.oddressxx: unknown key"},
        {"listen.unix_socket_mode=1777",
         "--set: listen.unix_socket_mode: \"1777\" is not permissions in octal, 0000 to 0777"},
        {"listen.unix_socket_mode=60",
         "--set: listen.unix_socket_mode: \"60\" is not permissions in octal, 0000 to 0777"},
        {"listen.auth=Password", "--set: listen.auth: \"Password\" is not one of none|password|backend"},
        {"listen.auth=none|password", "--set: listen.auth: \"none|password\" is not one of none|password|backend"},
        {"listen.auth=", "--set: listen.auth: \"\" is not one of none|password|backend"},
        {"listen.address=6380", "--set: listen.address: the host is not an IPv4 address of four numbers; allowed is "
                                "host:port or [v6]:port"},
        {"listen.address=:6380",
         "--set: listen.address: the host is missing, 0.0.0.0 or [::] listens everywhere; allowed "
         "is host:port or [v6]:port"},
        {"listen.address=h", "--set: listen.address: the port is missing; allowed is host:port or [v6]:port"},
        {"listen.address=::1:6380", "--set: listen.address: more than one ':' in host and port, an IPv6 address needs "
                                    "brackets; allowed is host:port or [v6]:port"},
        {"listen.address=", "--set: listen.address: is empty, allowed only when listen.unix_socket is set"},
        {"listen.refuse_commands=", "--set: listen.refuse_commands: \"\" is not one of default|none alone, or names "
                                    "separated by blanks"},
        {"listen.refuse_commands=get none", "--set: listen.refuse_commands: \"get none\" is not one of default|none "
                                            "alone, or names separated by blanks"},
        {"listen.refuse_commands=client|",
         "--set: listen.refuse_commands: \"client|\" is not one of default|none alone, "
         "or names separated by blanks"},
        {"listen.refuse_commands=a,b",
         "--set: listen.refuse_commands: \"a,b\" is not one of default|none alone, or names "
         "separated by blanks"},
        {"tls.ca_file=", "--set: tls.ca_file: \"\" is not a text from 1 to 4095 bytes"},
        {"tls.verify=", "--set: tls.verify: \"\" is not one of full|chain|none"},
        {"tls.min_version=1.1", "--set: tls.min_version: \"1.1\" is not one of 1.2|1.3"},
        {"health.timeout=9ms", "--set: health.timeout: \"9ms\" is not a duration from 10ms to 1m (with ms s m h)"},
        {"health.hang_threshold=0",
         "--set: health.hang_threshold: \"0\" is not a duration from 20ms to 1h (with ms s m h)"},
        {"health.rise=0", "--set: health.rise: \"0\" is not a number from 1 to 100"},
        {"health.start_grace=11m",
         "--set: health.start_grace: \"11m\" is not a duration from 0 to 10m (with ms s m h)"},
        {"health.seed=9007199254740993",
         "--set: health.seed: \"9007199254740993\" is not a number from 0 to 9007199254740992"},
        {"backend.a.priority=1000001", "--set: backend.a.priority: \"1000001\" is not a number from 0 to 1000000"},
        {"backend.a.metered=maybe", "--set: backend.a.metered: \"maybe\" is not yes or no (or true false on off 1 0)"},
        {"backend.a.dialect=lua", "--set: backend.a.dialect: \"lua\" is not one of auto|plain|upstash"},
        {"backend.a.verify=most", "--set: backend.a.verify: \"most\" is not one of full|chain|none"},
        {"backend.a.url_env=A-B", "--set: backend.a.url_env: is not the name of an environment variable"},
        {"backend.a.connections=17", "--set: backend.a.connections: \"17\" is not a number from 1 to 16"},
    };
    for (size_t i = 0; i < COUNT(refused); i++) {
        wrong(BACKEND, NULL, refused[i].set, refused[i].error);
    }
}

static void test_texts_taken(void **state)
{
    (void)state;
    struct conf *conf = good(
        "[listen]\naddress =\nunix_socket = /run/r s.sock\nrefuse_commands = KEYS client|kill  ft.search x\n" BACKEND,
        NULL, NULL);
    assert_string_equal(conf_string(conf, "listen", NULL, "address"), "");
    assert_string_equal(conf_string(conf, "listen", NULL, "unix_socket"), "/run/r s.sock");
    assert_string_equal(conf_string(conf, "listen", NULL, "refuse_commands"), "KEYS client|kill  ft.search x");
    conf_free(conf);
    conf_free(good(BACKEND, NULL, "listen.refuse_commands= get "));
    char path[200] = "listen.unix_socket=/";
    memset(path + strlen(path), 'x', 106);
    conf_free(good(BACKEND, NULL, path));
    strcat(path, "x");
    wrong(
        BACKEND, NULL, path,
        "--set: listen.unix_socket: \"/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\" is not a text from 0 to 107 bytes");
}

static void test_rules_between_values(void **state)
{
    (void)state;
    wrong("[listen]\nauth = password\n" BACKEND, NULL, NULL,
          "t.ini:2: listen.auth: password needs listen.password or a [user NAME]");
    wrong("[listen]\npassword = x\n" BACKEND "[user a]\npassword = y\n", NULL, NULL,
          "t.ini:2: listen.password: is set but listen.auth is none, set it to password\n"
          "t.ini:5: user.a: is set but listen.auth is none, set it to password");
    wrong(BACKEND, "RESPGATE_LISTEN_PASSWORD=x", "listen.auth=backend",
          "env RESPGATE_LISTEN_PASSWORD: listen.password: is set but listen.auth is backend, set it to password");
    wrong(BACKEND "[user a]\n", NULL, "listen.auth=password",
          "t.ini:3: user.a.password: is required, as is or by a key that ends in _file");
    conf_free(good(BACKEND, "RESPGATE_LISTEN_PASSWORD=", NULL));
    conf_free(good(BACKEND "[user a]\npassword = x\n", NULL, "listen.auth=password"));
    wrong(
        "[listen]\nreply_buffer = 2MiB\nstream_threshold = 2097152\n[backend a]\nurl = redis://h\nmax_connections = 3\n"
        "connections = 4\n",
        NULL, NULL,
        "t.ini:3: listen.stream_threshold: 2MiB is more than query_buffer, which is 1MiB\n"
        "t.ini:2: listen.reply_buffer: 2MiB is more than reply_buffer_max, which is 1MiB\n"
        "t.ini:7: backend.a.connections: 4 is more than max_connections, which is 3");
    wrong("[health]\ninterval = 100ms\n[fallback]\nfailback_hold = 601s\n" BACKEND, NULL, NULL,
          "t.ini:2: health.fast_interval: 200ms is more than interval, which is 100ms\n"
          "t.ini:4: fallback.failback_hold: 601s is more than failback_hold_max, which is 10m");
    wrong(BACKEND, NULL, "listen.reply_buffer_max=32KiB",
          "--set: listen.reply_buffer: 64KiB is more than reply_buffer_max, which is 32KiB");
}

/* The canonical form is the shortest one, and reads back as the same value. */
static void test_format_reads_back(void **state)
{
    (void)state;
    static const struct {
        enum option_type type;
        int64_t number;
        const char *want;
    } cases[] = {
        {OPTION_NUMBER, 0, "0"},          {OPTION_NUMBER, 10000, "10000"}, {OPTION_SIZE, 0, "0"},
        {OPTION_SIZE, 1023, "1023"},      {OPTION_SIZE, 1 << 10, "1KiB"},  {OPTION_SIZE, 1536 << 10, "1536KiB"},
        {OPTION_SIZE, 3 << 20, "3MiB"},   {OPTION_SIZE, 1 << 30, "1GiB"},  {OPTION_DURATION, 0, "0"},
        {OPTION_DURATION, 999, "999ms"},  {OPTION_DURATION, 90000, "90s"}, {OPTION_DURATION, 60000, "1m"},
        {OPTION_DURATION, 7200000, "2h"}, {OPTION_BOOL, 0, "no"},          {OPTION_BOOL, 1, "yes"},
        {OPTION_MODE, 0, "0000"},         {OPTION_MODE, 0640, "0640"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct option option = {.type = cases[i].type, .max = INT64_MAX};
        char why[VALUE_WHY_LEN];
        int64_t number;
        char *text = value_format(&option, "", cases[i].number);
        assert_string_equal(text, cases[i].want);
        assert_true(value_parse(&option, text, &number, why));
        assert_int_equal(number, cases[i].number);
        free(text);
    }
}

static void test_bool(void **state)
{
    (void)state;
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1", "No", "YES"};
    const struct option option = {.type = OPTION_BOOL};
    char why[VALUE_WHY_LEN];
    int64_t number;
    for (size_t i = 0; i < COUNT(words); i++) {
        assert_true(value_parse(&option, words[i], &number, why));
        assert_int_equal(number, i % 2);
    }
    assert_false(value_parse(&option, "2", &number, why));
    assert_string_equal(why, "\"2\" is not yes or no (or true false on off 1 0)");
    assert_false(value_parse(&option, "", &number, why));
}

/* What "did you mean" goes by: letters that must be changed, added or taken away; 3 stands for all that is farther. */
static void test_distance(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        unsigned want;
    } cases[] = {
        {"", "", 0},
        {"url", "url", 0},
        {"url", "URL", 0},
        {"url", "ur", 1},
        {"url", "uurl", 1},
        {"url", "uri", 1},
        {"url", "rul", 2},
        {"url", "u", 2},
        {"url", "xurlx", 2},
        {"url", "abc", 3},
        {"url", "xurly1", 3},
        {"level", "elvel", 2},
        {"address", "oddressxx", 3},
        {"abcd", "bcda", 2},
        {"abcdef", "defabc", 3},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(text_distance(cases[i].a, cases[i].b), cases[i].want);
        assert_int_equal(text_distance(cases[i].b, cases[i].a), cases[i].want);
    }
    char most[66];
    memset(most, 'a', 65);
    most[65] = '\0';
    assert_int_equal(text_distance(most, most), 3);
    assert_int_equal(text_distance(most + 1, most + 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_texts_taken),
        cmocka_unit_test(test_rules_between_values),
        cmocka_unit_test(test_format_reads_back),
        cmocka_unit_test(test_bool),
        cmocka_unit_test(test_distance),
    };
    int failed = conf_case_enter() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
    return conf_case_leave(NULL, 0) ? failed : 1;
}
