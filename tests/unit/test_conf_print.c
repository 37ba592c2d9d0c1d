/* What is printed: values with origins as text and JSON, the digest, and the reference file. */
#include "conf_case.h"

static void has_line(const char *text, const char *line)
{
    char wanted[512];
    snprintf(wanted, sizeof wanted, "\n%s\n", line);
    if (!strstr(text, wanted)) {
        fail_msg("no line \"%s\" in:\n%s", line, text);
    }
}

static struct conf *conf_to_print(void)
{
    return good("[listen]\naddress = 127.0.0.1:7000\nauth = password\npassword = hunter2\nunix_socket = /tmp/\"a\\b\n"
                "max_bulk = 65536\n[backend a]\nurl = redis://u:hunter2@h/0\n",
                "RESPGATE_LISTEN_ADDRESS=127.0.0.1:6380\nRESPGATE_BACKEND_A_URL=redis://u:hunter2x@h\n"
                "RESPGATE_LISTEN_PASSWORD=hunter2",
                "listen.address=127.0.0.1:6381");
}

/* Takes the ';' off every setting that stands at its default. */
static void activate(char *text)
{
    char *out = text;
    for (char *in = text; *in; in++) {
        bool start = in == text || in[-1] == '\n';
        if (!start || *in != ';') {
            *out++ = *in;
        }
    }
    *out = '\0';
}

static void test_print_text(void **state)
{
    (void)state;
    struct conf *conf = conf_to_print();
    char *text = printed(conf, CONF_TEXT, false);
    assert_ptr_equal(strstr(text, "listen.address             = 127.0.0.1:6381\n"), text);
    has_line(text, "listen.password            = ***");
    has_line(text, "listen.max_bulk            = 64KiB");
    has_line(text, "backend.a.url              = redis://u:***@h");
    has_line(text, "backend.a.idle_timeout     = 1m");
    assert_null(strstr(text, "hunter2"));
    assert_null(strchr(text, '#'));
    free(text);
    text = printed(conf, CONF_TEXT, true);
    static const char first[] =
        "listen.address             = 127.0.0.1:6381    # --set, shadows env RESPGATE_LISTEN_ADDRESS "
        "(127.0.0.1:6380), t.ini:2 (127.0.0.1:7000)\n";
    assert_ptr_equal(strstr(text, first), text);
    has_line(text, "listen.workers             = 1                 # default");
    has_line(text,
             "listen.password            = ***               # env RESPGATE_LISTEN_PASSWORD, shadows t.ini:4 (***)");
    has_line(text, "backend.a.url              = redis://u:***@h   # env RESPGATE_BACKEND_A_URL, shadows t.ini:8 "
                   "(redis://u:***@h/0)");
    assert_null(strstr(text, "hunter2"));
    free(text);
    conf_free(conf);
}

static void test_print_json(void **state)
{
    (void)state;
    struct conf *conf = conf_to_print();
    char *text = printed(conf, CONF_JSON, false);
    char head[128];
    snprintf(head, sizeof head, "{\n  \"digest\": \"%s\",\n  \"values\": [\n    {\"key\": \"listen.address\", ",
             conf_digest(conf));
    assert_ptr_equal(strstr(text, head), text);
    has_line(text,
             "    {\"key\": \"listen.address\", \"value\": \"127.0.0.1:6381\", \"origin\": \"--set\", \"shadows\": "
             "[{\"origin\": \"env RESPGATE_LISTEN_ADDRESS\", \"value\": \"127.0.0.1:6380\"}, {\"origin\": \"t.ini:2\", "
             "\"value\": \"127.0.0.1:7000\"}]},");
    has_line(text, "    {\"key\": \"listen.unix_socket\", \"value\": \"/tmp/\\\"a\\\\b\", \"origin\": \"t.ini:5\", "
                   "\"shadows\": []},");
    has_line(text,
             "    {\"key\": \"log.format\", \"value\": \"logfmt\", \"origin\": \"default\", \"shadows\": []}\n  ]\n}");
    assert_null(strstr(text, "hunter2"));
    free(text);
    conf_free(conf);
}

/* File names and users of URLs may hold any byte; what is printed stays JSON. */
static void test_print_json_bytes(void **state)
{
    (void)state;
    write_file("\x01\xff.ini", BACKEND, strlen(BACKEND));
    struct conf_sources sources = {.file = "\x01\xff.ini"};
    char *errors;
    struct conf *conf = conf_load(&sources, &errors);
    assert_non_null(conf);
    char *text = printed(conf, CONF_JSON, true);
    assert_non_null(strstr(text, "\"origin\": \"\\u0001\\ufffd.ini:2\""));
    free(text);
    conf_free(conf);
}

/* What a backend has from [tls] is shown as it is in force, and from where it is. */
static void test_print_inherited(void **state)
{
    (void)state;
    struct conf *conf = good(BACKEND "verify =\nmin_version = 1.3\n[tls]\nverify = chain\n", NULL, NULL);
    char *text = printed(conf, CONF_TEXT, true);
    has_line(text, "backend.a.ca_file          = system           # tls.ca_file");
    has_line(text, "backend.a.verify           = chain            # tls.verify");
    has_line(text, "backend.a.min_version      = 1.3              # t.ini:4");
    has_line(text, "backend.a.cert_file        =                  # tls.cert_file");
    has_line(text, "tls.verify                 = chain            # t.ini:6");
    has_line(text, "tls.min_version            = 1.2              # default");
    free(text);
    text = printed(conf, CONF_JSON, false);
    has_line(text, "    {\"key\": \"backend.a.verify\", \"value\": \"chain\", \"origin\": \"tls.verify\", "
                   "\"shadows\": []},");
    free(text);
    struct conf *own = good(BACKEND "verify = chain\nmin_version = 1.3\n", NULL, "tls.verify=chain");
    assert_string_equal(conf_digest(conf), conf_digest(own));
    conf_free(own);
    conf_free(conf);
}

/* A URL is shown where it comes from, and never with its password. */
static void test_print_named_variable(void **state)
{
    (void)state;
    struct conf *conf = good("[backend a]\nurl_env = MY_URL\n", "MY_URL=redis://u:hunter2@h", NULL);
    char *text = printed(conf, CONF_TEXT, true);
    has_line(text, "backend.a.url              = redis://u:***@h   # env MY_URL via t.ini:2");
    has_line(text, "backend.a.url_env          = MY_URL            # t.ini:2");
    assert_null(strstr(text, "hunter2"));
    free(text);
    conf_free(conf);
}

static void test_digest(void **state)
{
    (void)state;
    struct conf *base = good("[listen]\nauth = password\npassword = a\n[backend a]\nurl = redis://:a@h\n", NULL, NULL);
    struct conf *other_secret = good("[listen]\nauth = password\npassword = b\n[backend a]\nurl = redis://:b@h\n", NULL,
                                     "log.level=info\nlisten.idle_timeout=0s");
    struct conf *other_value =
        good("[listen]\nauth = password\npassword = a\n[backend a]\nurl = redis://:a@h\n", NULL, "log.level=warn");
    struct conf *other_host =
        good("[listen]\nauth = password\npassword = a\n[backend a]\nurl = redis://:a@i\n", NULL, NULL);
    assert_int_equal(strspn(conf_digest(base), "0123456789abcdef"), 16);
    assert_int_equal(strlen(conf_digest(base)), 16);
    assert_string_equal(conf_digest(base), conf_digest(other_secret));
    assert_string_not_equal(conf_digest(base), conf_digest(other_value));
    assert_string_not_equal(conf_digest(base), conf_digest(other_host));
    conf_free(base);
    conf_free(other_secret);
    conf_free(other_value);
    conf_free(other_host);
}

/* As printed it is a good file that only names a backend; with every default switched on it still changes nothing, and
 * names every option. */
static void test_reference(void **state)
{
    (void)state;
    char *text = printed(NULL, CONF_TEXT, false);
    struct conf *bare = good(NULL, "RESPGATE_BACKEND_URL=redis://127.0.0.1:6379/0", NULL);
    struct conf *plain = good(text, NULL, NULL);
    activate(text);
    struct conf *active = good(text, NULL, NULL);
    assert_string_equal(conf_digest(bare), conf_digest(plain));
    assert_string_equal(conf_digest(bare), conf_digest(active));
    char *values = printed(active, CONF_TEXT, true);
    assert_null(strstr(values, "# default"));
    assert_int_equal(conf_overrides(active), 0);
    free(values);
    free(text);
    conf_free(bare);
    conf_free(plain);
    conf_free(active);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print_text),
        cmocka_unit_test(test_print_json),
        cmocka_unit_test(test_print_json_bytes),
        cmocka_unit_test(test_print_inherited),
        cmocka_unit_test(test_print_named_variable),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_reference),
    };
    static const char *const files[] = {"\x01\xff.ini"};
    int failed = conf_case_enter() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
    return conf_case_leave(files, COUNT(files)) ? failed : 1;
}
