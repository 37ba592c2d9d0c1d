/* The pages that show one thing as it is: /, /metrics, /config, /events, /version. */
#include <string.h>

#include "conf/conf.h"
#include "proxy/flow/settings.h"
#include "proxy/flow/slowlog.h"
#include "proxy/health/journal.h"
#include "proxy/watch/build.h"
#include "proxy/watch/http.h"
#include "proxy/watch/metrics.h"
#include "proxy/watch/page/page.h"
#include "proxy/watch/scene.h"

void page_metrics(const struct scene *scene, struct page *page)
{
    bool open = strstr(page->accept, "application/openmetrics-text");

    page->type = open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                      : "text/plain; version=0.0.4; charset=utf-8";
    metrics_write(scene, page->body, open ? METRIC_OPENMETRICS : METRIC_PROMETHEUS);
}

void page_config(const struct scene *scene, struct page *page)
{
    bool text = page_asks(page, "text");

    if (!text)
        page->type = "application/json";
    conf_print(scene->settings->conf, page->body, text ? CONF_TEXT : CONF_JSON, true);
}

void page_events(const struct scene *scene, struct page *page)
{
    page->type = "application/x-ndjson";
    if (journal_print(scene->journal, page->body, 0, "\n"))
        fputc('\n', page->body);
}

void page_index(const struct scene *scene, struct page *page)
{
    (void)scene;
    page->type = "text/html; charset=utf-8";
    page->policy = page_policy;
    fwrite(page_html, 1, page_html_len, page->body);
}

void page_slowlog(const struct scene *scene, struct page *page)
{
    page->type = "application/x-ndjson";
    slowlog_print(scene->crew, page->body, "\n");
}

void page_version(const struct scene *scene, struct page *page)
{
    page->type = "application/json";
    build_write_json(scene->build, page->body);
    fputc('\n', page->body);
}
