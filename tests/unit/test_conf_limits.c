/* Rules of limits: their values, and what is refused because a rule says too little, too much or what cannot be. */
#include "conf_case.h"

static void test_values(void **state)
{
    (void)state;
    struct conf *conf = good(BACKEND "[limit runs-per-tenant]\nkind = semaphore\nmax = 5\nlease = 600s\n"
                                     "[limit api]\nkind = gcra\nrate = 100/60s\nburst = 20\non_backend_down = allow\n",
                             "RESPGATE_LIMIT_API_RATE=50/1m\nRESPGATE_LIMIT_RUNS_PER_TENANT_MAX=7\n"
                             "RESPGATE_LIMIT_LOGIN_KIND=slide-log\nRESPGATE_LIMIT_LOGIN_ON_BACKEND_DOWN=local\n"
                             "RESPGATE_LIMIT_LOGIN_LOCAL_SHARE=33\nRESPGATE_LIMIT_LOGIN_DENY_CACHE=yes",
                             "limit.login.rate=5/15m\nlimit.login.shadow=yes\nlimit.login.prefix=otp:");
    assert_int_equal(conf_names(conf, "limit"), 3);
    assert_string_equal(conf_name_at(conf, "limit", 0), "runs-per-tenant");
    assert_string_equal(conf_string(conf, "limit", "runs-per-tenant", "kind"), "semaphore");
    assert_int_equal(conf_number(conf, "limit", "runs-per-tenant", "max"), 7);
    assert_int_equal(conf_number(conf, "limit", "runs-per-tenant", "lease"), 600000);
    assert_int_equal(conf_number(conf, "limit", "runs-per-tenant", "on_backend_down"), 0);
    assert_int_equal(conf_number(conf, "limit", "runs-per-tenant", "shadow"), 0);
    assert_int_equal(conf_number(conf, "limit", "runs-per-tenant", "deny_cache"), 0);
    assert_int_equal(conf_number(conf, "limit", "runs-per-tenant", "local_share"), 100);
    assert_string_equal(conf_string(conf, "limit", "runs-per-tenant", "prefix"), "");
    struct conf_rate none = conf_rate(conf, "limit", "runs-per-tenant", "rate");
    assert_true(none.count == 0 && none.period_ms == 0);
    struct conf_rate api = conf_rate(conf, "limit", "api", "rate");
    assert_int_equal(api.count, 50);
    assert_int_equal(api.period_ms, 60000);
    assert_int_equal(conf_number(conf, "limit", "api", "burst"), 20);
    assert_int_equal(conf_number(conf, "limit", "api", "on_backend_down"), 1);
    assert_int_equal(conf_number(conf, "limit", "login", "kind"), 3);
    assert_int_equal(conf_number(conf, "limit", "login", "on_backend_down"), 2);
    assert_int_equal(conf_number(conf, "limit", "login", "local_share"), 33);
    assert_int_equal(conf_number(conf, "limit", "login", "deny_cache"), 1);
    assert_int_equal(conf_number(conf, "limit", "login", "shadow"), 1);
    assert_string_equal(conf_string(conf, "limit", "login", "prefix"), "otp:");
    conf_free(conf);
}

#define RATE(value)                                                                                                    \
    "--set: limit.a.rate: \"" value "\" is not a rate as in 100/60s: a number from 1 to 1000000000, and a duration "   \
    "from 1ms to 8784h"

static void test_rate_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t count, period_ms;
        const char *shown;
    } taken[] = {
        {"1/1ms", 1, 1, "= 1/1ms\n"},
        {"100/60s", 100, 60000, "= 100/1m\n"},
        {"1000000000/8784h", 1000000000, INT64_C(8784) * 3600000, "= 1000000000/8784h\n"},
        {"7/1500ms", 7, 1500, "= 7/1500ms\n"},
    };
    for (size_t i = 0; i < COUNT(taken); i++) {
        char set[64];
        snprintf(set, sizeof set, "limit.a.kind=window\nlimit.a.rate=%s", taken[i].text);
        struct conf *conf = good(BACKEND, NULL, set);
        struct conf_rate rate = conf_rate(conf, "limit", "a", "rate");
        assert_int_equal(rate.count, taken[i].count);
        assert_int_equal(rate.period_ms, taken[i].period_ms);
        char *text = printed(conf, CONF_TEXT, false);
        assert_non_null(strstr(text, taken[i].shown));
        free(text);
        conf_free(conf);
    }
    static const char *const refused[] = {"100",     "/60s", "100/", "100/60",        "0/60s",
                                          "01/60s",  "1/0",  "1/0s", "-1/1s",         "1/-1s",
                                          "1 / 60s", "1/s",  "x/1s", "1000000001/1s", "1/8785h"};
    for (size_t i = 0; i < COUNT(refused); i++) {
        char set[64], want[256];
        snprintf(set, sizeof set, "limit.a.kind=window\nlimit.a.rate=%s", refused[i]);
        snprintf(want, sizeof want, RATE("%s"), refused[i]);
        wrong(BACKEND, NULL, set, want);
    }
}

/* Each line of the list is one mistake, whatever else is wrong. */
static void test_too_little(void **state)
{
    (void)state;
    wrong(BACKEND "[limit a]\n[limit b]\nkind = gcra\n[limit c]\nkind = semaphore\nmax = 0\n[limit d]\nkind = lease\n"
                  "[limit e]\nkind = slide\nrate = fast\n",
          NULL, "limit.f.max=1",
          "t.ini:10: limit.d.kind: \"lease\" is not one of "
          "gcra|window|slide|slide-log|semaphore|zset|set|list|counter|incr|script\n"
          "t.ini:13: limit.e.rate: \"fast\" is not a rate as in 100/60s: a number from 1 to 1000000000, and a duration "
          "from 1ms to 8784h\n"
          "t.ini:3: limit.a.kind: is required\n"
          "--set: limit.f.kind: is required\n"
          "t.ini:4: limit.b.rate: is needed by kind gcra, as in 100/60s\n"
          "t.ini:8: limit.c.max: is needed by kind semaphore, as in 5\n"
          "t.ini:6: limit.c.lease: is needed by kind semaphore, as in 600s");
}

static void test_too_much(void **state)
{
    (void)state;
    wrong(BACKEND "[limit a]\nkind = semaphore\nmax = 5\nlease = 1s\nrate = 1/1s\nburst = 3\non_backend_down = local\n"
                  "deny_cache = yes\n[limit b]\nkind = window\nrate = 1/1s\nmax = 5\nlease = 1s\nburst = 3\n"
                  "[limit c]\nkind = gcra\nrate = 1/1s\nmax = 5\n",
          NULL, NULL,
          "t.ini:7: limit.a.rate: is for the other kinds, this one is semaphore\n"
          "t.ini:8: limit.a.burst: is for kind gcra, this one is semaphore\n"
          "t.ini:9: limit.a.on_backend_down: local cannot know who else holds a place of a semaphore, allowed are deny "
          "and allow\n"
          "t.ini:10: limit.a.deny_cache: a place of a semaphore can become free at any time, allowed is no\n"
          "t.ini:14: limit.b.max: is for kind semaphore, this one is window\n"
          "t.ini:15: limit.b.lease: is for kind semaphore, this one is window\n"
          "t.ini:16: limit.b.burst: is for kind gcra, this one is window\n"
          "t.ini:20: limit.c.max: is for kind semaphore, this one is gcra");
}

/* Beyond these a script could not count exactly. */
static void test_too_large(void **state)
{
    (void)state;
    conf_free(good(BACKEND, NULL, "limit.a.kind=slide\nlimit.a.rate=285615/8760h"));
    wrong(BACKEND, NULL, "limit.a.kind=slide\nlimit.a.rate=285616/8760h",
          "--set: limit.a.rate: kind slide cannot count that many in so long a period");
    conf_free(good(BACKEND, NULL, "limit.a.kind=slide-log\nlimit.a.rate=285616/8760h"));
    conf_free(good(BACKEND, NULL, "limit.a.kind=gcra\nlimit.a.rate=1000000/1ms\nlimit.a.burst=1"));
    wrong(BACKEND, NULL, "limit.a.kind=gcra\nlimit.a.rate=1000001/1ms",
          "--set: limit.a.rate: is more than one call in a nanosecond");
    conf_free(good(BACKEND, NULL, "limit.a.kind=gcra\nlimit.a.rate=1/8760h\nlimit.a.burst=142"));
    wrong(BACKEND, NULL, "limit.a.kind=gcra\nlimit.a.rate=1/8760h\nlimit.a.burst=143",
          "--set: limit.a.burst: takes more than 140 years to come back at this rate");
}

static void test_prefixes(void **state)
{
    (void)state;
    wrong(BACKEND "[limit a]\nkind = window\nrate = 1/1s\n[limit b]\nkind = window\nrate = 1/1s\nprefix = rl:a:\n"
                  "[limit c]\nkind = window\nrate = 1/1s\nprefix = rl:d:\n[limit d]\nkind = window\nrate = 1/1s\n",
          NULL, NULL,
          "t.ini:9: limit.b.prefix: its keys begin with rl:a: like those of limit.a\n"
          "t.ini:14: limit.d.prefix: its keys begin with rl:d: like those of limit.c");
}

static void test_repairs(void **state)
{
    (void)state;
    struct conf *conf = good(BACKEND "[limit runs]\nkind = zset\nmatch = key:concurrent:*\nmode = enforce\nmax = 5\n"
                                     "[limit rate]\nkind = incr\nmatch = key:rl:*\n[limit otp]\nkind = counter\n"
                                     "match = key:otp:*\nmode = enforce\nttl = 15m\nmax = 3\nlate = reject\n",
                             "RESPGATE_LIMIT_RATE_MODE=enforce\nRESPGATE_LIMIT_RATE_TTL=60s", "limit.runs.late=error");
    assert_string_equal(conf_string(conf, "limit", "runs", "match"), "key:concurrent:*");
    assert_int_equal(conf_number(conf, "limit", "runs", "kind"), 5);
    assert_int_equal(conf_number(conf, "limit", "runs", "mode"), 1);
    assert_int_equal(conf_number(conf, "limit", "runs", "late"), 2);
    assert_int_equal(conf_number(conf, "limit", "runs", "ttl"), 0);
    assert_int_equal(conf_number(conf, "limit", "rate", "kind"), 9);
    assert_int_equal(conf_number(conf, "limit", "rate", "ttl"), 60000);
    assert_int_equal(conf_number(conf, "limit", "rate", "late"), 0);
    assert_int_equal(conf_number(conf, "limit", "otp", "late"), 1);
    conf_free(conf);
    conf = good(BACKEND "[limit a]\nkind = set\nmatch = key:*\n[limit b]\nkind = list\nmatch = key:*\n"
                        "[limit c]\nkind = window\nrate = 1/1s\nprefix = rl:b:\n",
                NULL, NULL);
    assert_int_equal(conf_number(conf, "limit", "a", "mode"), 0);
    conf_free(conf);
}

static void test_repairs_that_cannot_decide(void **state)
{
    (void)state;
    wrong(
        BACKEND
        "[limit a]\nkind = zset\nmode = enforce\n[limit b]\nkind = counter\nmode = enforce\n"
        "match = otp:*\n[limit c]\nkind = incr\nmode = enforce\nmatch = key:\nlate = error\nmonitors = top\n[limit d]\n"
        "kind = set\nmatch = key:x\nmode = off\n",
        NULL, NULL,
        "t.ini:19: limit.d.mode: \"off\" is not one of observe|enforce\n"
        "t.ini:3: limit.a.match: is needed by kind zset, as in key:concurrent:*\n"
        "t.ini:3: limit.a.max: is needed by kind zset, as in 5\n"
        "t.ini:9: limit.b.match: \"otp:*\" is not key: and a pattern, as in key:concurrent:*\n"
        "t.ini:6: limit.b.max: is needed by kind counter, as in 5\n"
        "t.ini:6: limit.b.ttl: is needed by kind counter, as in 60s\n"
        "t.ini:13: limit.c.match: \"key:\" is not key: and a pattern, as in key:concurrent:*\n"
        "t.ini:10: limit.c.ttl: is needed by kind incr, as in 60s\n"
        "t.ini:14: limit.c.late: is for the kinds that are checked, this one is incr\n"
        "t.ini:15: limit.c.monitors: is for the kinds that are checked, this one is incr");
}

static void test_repairs_that_say_too_much(void **state)
{
    (void)state;
    wrong(BACKEND
          "[limit a]\nkind = zset\nmatch = key:a\nrate = 1/1s\nburst = 3\nlease = 1s\nprefix = a\n"
          "shadow = yes\nlocal_share = 5\ndeny_cache = no\non_backend_down = local\n[limit b]\nkind = gcra\n"
          "rate = 1/1s\nmatch = key:b\nmode = observe\nttl = 1s\nlate = error\nmonitors = top\n[limit c]\nkind = "
          "gcra\nrate = 1/1s\nmatch = key:b\n",
          NULL, NULL,
          "t.ini:6: limit.a.rate: is for the kinds that are called by name, this one is zset\n"
          "t.ini:7: limit.a.burst: is for the kinds that are called by name, this one is zset\n"
          "t.ini:8: limit.a.lease: is for the kinds that are called by name, this one is zset\n"
          "t.ini:9: limit.a.prefix: is for the kinds that are called by name, this one is zset\n"
          "t.ini:10: limit.a.shadow: is for the kinds that are called by name, this one is zset\n"
          "t.ini:11: limit.a.local_share: is for the kinds that are called by name, this one is zset\n"
          "t.ini:12: limit.a.deny_cache: is for the kinds that are called by name, this one is zset\n"
          "t.ini:13: limit.a.on_backend_down: local cannot know what the key holds, allowed are deny and allow\n"
          "t.ini:17: limit.b.match: is for kinds zset, set, list, counter, incr and script, this one is gcra\n"
          "t.ini:18: limit.b.mode: is for kinds zset, set, list, counter and incr, this one is gcra\n"
          "t.ini:19: limit.b.ttl: is for kinds zset, set, list, counter and incr, this one is gcra\n"
          "t.ini:20: limit.b.late: is for kinds zset, set, list, counter and incr, this one is gcra\n"
          "t.ini:21: limit.b.monitors: is for kinds zset, set, list, counter and incr, this one is gcra\n"
          "t.ini:25: limit.c.match: is for kinds zset, set, list, counter, incr and script, this one is gcra");
}

/* Of the same keys the first rule has them all; kinds that no command can be both of do not meet. */
static void test_repairs_of_the_same_keys(void **state)
{
    (void)state;
    wrong(BACKEND "[limit a]\nkind = zset\nmatch = key:x:*\n[limit b]\nkind = set\nmatch = key:x:*\n"
                  "[limit c]\nkind = zset\nmatch = key:x:*\n[limit d]\nkind = incr\nmatch = key:x:*\n"
                  "[limit e]\nkind = counter\nmatch = key:x:*\n[limit f]\nkind = zset\nmatch = key:x\n",
          NULL, NULL,
          "t.ini:11: limit.c.match: key:x:* is limit.a's already\n"
          "t.ini:17: limit.e.match: key:x:* is limit.d's already");
}

static void test_scripts(void **state)
{
    (void)state;
    struct conf *conf = good(BACKEND "[limit a]\nkind = script\nmatch = key:x:*\nadopt = anything\n"
                                     "[limit b]\nkind = script\nmatch = key:x:*\nadopt = more\nreturns = 1 | nil\n"
                                     "[limit c]\nkind = window\nrate = 1/1s\nprefix = rl:a:\n",
                             NULL, NULL);
    assert_int_equal(conf_number(conf, "limit", "a", "kind"), 10);
    assert_string_equal(conf_string(conf, "limit", "a", "returns"), "1 | 0");
    assert_string_equal(conf_string(conf, "limit", "b", "returns"), "1 | nil");
    conf_free(conf);
    wrong(BACKEND "[limit a]\nkind = script\nmatch = x:*\nmode = observe\nmax = 5\non_backend_down = local\n"
                  "[limit b]\nkind = script\nadopt = x\n[limit c]\nkind = incr\nmatch = key:c\nadopt = x\n"
                  "[limit d]\nkind = window\nrate = 1/1s\nreturns = 1\n[limit e]\nkind = script\nmatch = key:c\n"
                  "adopt = x\n[limit f]\nkind = set\nmatch = key:f\nscripts = show\n[limit g]\nkind = gcra\n"
                  "rate = 1/1s\nscripts = as_is\n",
          NULL, NULL,
          "t.ini:5: limit.a.match: \"x:*\" is not key: and a pattern, as in key:concurrent:*\n"
          "t.ini:3: limit.a.adopt: is needed by kind script, as in <sha1> SEM.ACQUIRE KEYS[1] 5 60000 ARGV[1]\n"
          "t.ini:6: limit.a.mode: is for the other kinds, this one is script\n"
          "t.ini:7: limit.a.max: is for the other kinds, this one is script\n"
          "t.ini:8: limit.a.on_backend_down: local cannot know what the key holds, allowed are deny and allow\n"
          "t.ini:9: limit.b.match: is needed by kind script, as in key:concurrent:*\n"
          "t.ini:15: limit.c.adopt: is for kind script, this one is incr\n"
          "t.ini:19: limit.d.returns: is for kind script, this one is window\n"
          "t.ini:22: limit.e.match: key:c is limit.c's already\n"
          "t.ini:27: limit.f.scripts: is for kind zset, this one is set\n"
          "t.ini:31: limit.g.scripts: is for kind zset, this one is gcra");
}

/* What a mistake hides is not judged by the value beneath it. */
static void test_hidden(void **state)
{
    (void)state;
    wrong(BACKEND "[limit a]\nkind = window\nrate = 1/1s\nmax = 5\n", "RESPGATE_LIMIT_A_KIND=lease", NULL,
          "env RESPGATE_LIMIT_A_KIND: limit.a.kind: \"lease\" is not one of "
          "gcra|window|slide|slide-log|semaphore|zset|set|list|counter|incr|script");
    static const char broken[] = "RESPGATE_LIMIT_A_PREFIX=\xff";
    static const char told[] = "env RESPGATE_LIMIT_A_PREFIX: limit.a.prefix: holds a control byte or is not UTF-8";
    wrong(BACKEND "[limit a]\nkind = window\nrate = 1/1s\n[limit b]\nkind = window\nrate = 1/1s\nprefix = rl:a:\n",
          broken, NULL, told);
    wrong(BACKEND "[limit b]\nkind = window\nrate = 1/1s\nprefix = rl:a:\n[limit a]\nkind = window\nrate = 1/1s\n",
          broken, NULL, told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_rate_spelling),
        cmocka_unit_test(test_too_little),
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_repairs),
        cmocka_unit_test(test_repairs_that_cannot_decide),
        cmocka_unit_test(test_repairs_that_say_too_much),
        cmocka_unit_test(test_repairs_of_the_same_keys),
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_hidden),
    };
    int failed = conf_case_enter() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
    return conf_case_leave(NULL, 0) ? failed : 1;
}
