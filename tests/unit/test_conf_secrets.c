/* Secrets: out of files, and never into a message. */
#include "conf_case.h"
#include <sys/stat.h>

static void test_secret_files(void **state)
{
    (void)state;
    write_file("url", "redis://:hunter2@h:7000\n", 24);
    write_file("url-b", "redis://:hunter2@i:7000\n", 24);
    write_file("pw", "hunter2\r\n", 9);
    write_file("pw-bare", " hunter2 ", 9);
    struct conf *conf =
        good("[listen]\nauth = password\npassword_file = pw\n[backend a]\nurl_file = url\n",
             "RESPGATE_USER_APP_PASSWORD_FILE=pw-bare\nRESPGATE_BACKEND_URL_FILE=url-b", "user.b.password_file=pw");
    assert_string_equal(conf_string(conf, "listen", NULL, "password"), "hunter2");
    assert_string_equal(conf_string(conf, "user", "app", "password"), " hunter2 ");
    assert_string_equal(conf_string(conf, "user", "b", "password"), "hunter2");
    assert_string_equal(conf_string(conf, "backend", "a", "url"), "redis://:hunter2@h:7000");
    assert_string_equal(conf_string(conf, "backend", "default", "url"), "redis://:hunter2@i:7000");
    assert_string_equal(conf_origin(conf, "backend", "a", "url"), "t.ini:5");
    assert_string_equal(conf_origin(conf, "backend", "default", "url"), "env RESPGATE_BACKEND_URL_FILE");
    assert_string_equal(conf_warnings(conf), "");
    conf_free(conf);

    write_file("empty", "\n", 1);
    write_file("two-lines", "a\n\n", 3);
    write_file("nul", "a\0b", 3);
    char *big = calloc(1, 16386);
    assert_non_null(big);
    memset(big, 'a', 16385);
    write_file("big", big, 16385);
    free(big);
    wrong(BACKEND
          "[listen]\nauth = password\n[user a]\npassword_file = hunter2\n[user b]\npassword_file = empty\n[user c]\n"
          "password_file = two-lines\n[user d]\npassword_file = nul\n[user e]\npassword_file = big\n[user f]\n"
          "password_file =\n[user g]\npassword = a\npassword_file = pw\n[user h]\npassword_file = .\n[log]\nlevel_file "
          "= pw\n",
          "RESPGATE_LOG_LEVEL_FILE=pw", NULL,
          "t.ini:6: user.a.password: the file named here cannot be used: No such file or directory\n"
          "t.ini:8: user.b.password: the file named here cannot be used: it is empty\n"
          "t.ini:10: user.c.password: holds a control byte or is not UTF-8\n"
          "t.ini:12: user.d.password: the file named here cannot be used: it holds a NUL byte\n"
          "t.ini:14: user.e.password: the file named here cannot be used: it is larger than 16KiB\n"
          "t.ini:16: user.f.password: the file named here cannot be used: its name is empty\n"
          "t.ini:19: user.g.password: set twice, first by t.ini:18\n"
          "t.ini:21: user.h.password: the file named here cannot be used: Is a directory\n"
          "t.ini:23: log.level_file: unknown key\n"
          "env RESPGATE_LOG_LEVEL_FILE: unknown variable");
}

/* Containers mount secrets for all to read; what others may write they may turn elsewhere. */
static void test_exposed_files(void **state)
{
    (void)state;
    write_file("url", "redis://:hunter2@h\n", 19);
    write_file("pw", "hunter2\n", 8);
    static const char ini[] = "[listen]\nauth = password\npassword_file = pw\n[backend a]\nurl_file = url\n";
    assert_int_equal(chmod("url", 0446), 0);
    assert_int_equal(chmod("pw", 0664), 0);
    struct conf *conf = good(ini, NULL, NULL);
    assert_string_equal(conf_warnings(conf), "t.ini:5: backend.a.url: others may write to the file named here");
    conf_free(conf);
    assert_int_equal(chmod("pw", 0602), 0);
    conf = good(ini, NULL, NULL);
    assert_string_equal(conf_warnings(conf), "t.ini:3: listen.password: others may write to the file named here\n"
                                             "t.ini:5: backend.a.url: others may write to the file named here");
    conf_free(conf);
}

/* No mistake and no output shows a secret, whatever it was mistaken for. */
static void test_no_secret_told(void **state)
{
    (void)state;
    char long_key[2048];
    snprintf(long_key, sizeof long_key, "%s[listen]\n%.41s+hunter2 = 1\nurl:redis://:hunter2@h\nhunter2\n[hunter2 x\n",
             BACKEND, "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk");
    const char *const inis[] = {
        long_key,
        "[backend a]\nurl = redis://:hunter2\n",
        "[backend a]\nurl = redis://:hunter2%@h\n",
        "[backend a]\nurl = redis://h ; hunter2\n",
        "[listen]\naddres = hunter2\n",
        BACKEND "[listen]\npassword = hunter2\n",
        BACKEND "[listen]\npassword = \xff hunter2\n",
        BACKEND "[listen]\nauth = password\npassword_file = hunter2\n",
        BACKEND "[user a]\n hunter2\n",
        "[backend a]\nurl_env = redis://:hunter2@h\n",
        "[backend a]\nurl_env = 1hunter2\n",
        "[backend a]\nurl_env = SPOILT_URL\n",
        "[backend a]\nurl = redis://h\n[backend b]\nurl_env = SECRET_URL\n",
        BACKEND "[backend b]\nurl = redis://:hunter2@127.0.0.1:6380\n",
    };
    for (size_t i = 0; i < COUNT(inis); i++) {
        char *errors;
        assert_null(load(inis[i],
                         "RESPGATE_BACKEND_X_URL_FILE=hunter2\nRESPGATE_X=hunter2\nRESPGATE_BACKEND_Y_URL=hunter2\n"
                         "SPOILT_URL=hunter2\nSECRET_URL=redis://:hunter2@h",
                         "backend.z.url=redis://:hunter2\nlisten=hunter2", &errors));
        assert_null(strstr(errors, "hunter2"));
        free(errors);
    }
    char *errors;
    assert_null(load(long_key, NULL, NULL, &errors));
    assert_non_null(strstr(errors, "listen.kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk...: unknown key\n"));
    free(errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secret_files),
        cmocka_unit_test(test_exposed_files),
        cmocka_unit_test(test_no_secret_told),
    };
    static const char *const files[] = {"url", "url-b", "pw", "pw-bare", "empty", "two-lines", "nul", "big"};
    int failed = conf_case_enter() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
    return conf_case_leave(files, COUNT(files)) ? failed : 1;
}
