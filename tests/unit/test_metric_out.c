/* The three formats of metrics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "proxy/watch/metric_out.h"

static void expect(enum metric_format format, const char *expected)
{
    char *text = NULL;
    size_t len;
    struct metric_out out = {.out = open_memstream(&text, &len), .format = format};

    metric_begin(&out);
    metric_family(&out, "jobs", METRIC_COUNTER, "Jobs done.");
    metric_sample(&out, METRIC_LABELS(METRIC_LABEL("kind", "a\"b\\c\nd"), METRIC_LABEL("at", "home")), 3);
    metric_sample(&out, METRIC_LABELS(METRIC_LABEL("kind", "e"), METRIC_LABEL("at", "")), 4503599627370497);
    metric_single(&out, "heat", METRIC_GAUGE, "How hot.", 0.25);
    metric_end(&out);
    fclose(out.out);
    assert_string_equal(text, expected);
    free(text);
}

static void test_prometheus(void **state)
{
    (void)state;
    expect(METRIC_PROMETHEUS, "# HELP respgate_jobs_total Jobs done.\n# TYPE respgate_jobs_total counter\n"
                              "respgate_jobs_total{kind=\"a\\\"b\\\\c\\nd\",at=\"home\"} 3\n"
                              "respgate_jobs_total{kind=\"e\",at=\"\"} 4503599627370497\n"
                              "# HELP respgate_heat How hot.\n# TYPE respgate_heat gauge\nrespgate_heat 0.25\n");
}

static void test_openmetrics(void **state)
{
    (void)state;
    expect(METRIC_OPENMETRICS,
           "# HELP respgate_jobs Jobs done.\n# TYPE respgate_jobs counter\n"
           "respgate_jobs_total{kind=\"a\\\"b\\\\c\\nd\",at=\"home\"} 3\n"
           "respgate_jobs_total{kind=\"e\",at=\"\"} 4503599627370497\n"
           "# HELP respgate_heat How hot.\n# TYPE respgate_heat gauge\nrespgate_heat 0.25\n# EOF\n");
}

static void test_json(void **state)
{
    (void)state;
    expect(METRIC_JSON, "[\n{\"name\":\"respgate_jobs_total\",\"type\":\"counter\",\"samples\":["
                        "{\"labels\":{\"kind\":\"a\\\"b\\\\c\\nd\",\"at\":\"home\"},\"value\":3},"
                        "{\"labels\":{\"kind\":\"e\",\"at\":\"\"},\"value\":4503599627370497}]},"
                        "\n{\"name\":\"respgate_heat\",\"type\":\"gauge\",\"samples\":["
                        "{\"labels\":{},\"value\":0.25}]}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prometheus),
        cmocka_unit_test(test_openmetrics),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
