/* /livez, /startupz, /readyz: for orchestrators, and for people who ask why not. */
#include "conf/text.h"
#include "proxy/flow/worker.h"
#include "proxy/health/snapshot.h"
#include "proxy/watch/http.h"
#include "proxy/watch/scene.h"

void page_livez(const struct scene *scene, struct page *page)
{
    uint64_t stuck_ms;
    int worker = scene_stuck_worker(scene, &stuck_ms);

    if (worker < 0) {
        fputs("live\n", page->body);
        return;
    }
    page->status = 503;
    fprintf(page->body, "worker %d has been stuck for %llu ms\n", worker, (unsigned long long)stuck_ms);
}

void page_startupz(const struct scene *scene, struct page *page)
{
    bool started = scene_has_started(scene);

    page->status = started ? 200 : 503;
    fputs(started ? "started\n" : "the backends have no verdict yet\n", page->body);
}

/* One line for each thing that may be well or not; in JSON an object. */
static void list_item(struct page *page, bool good, const char *what, const char *name, const char *state,
                      const char *reason)
{
    if (!page->json) {
        fprintf(page->body, "[%c] %s %s: %s%s%s\n", good ? '+' : '-', what, name, state, reason[0] ? ": " : "", reason);
        return;
    }
    fprintf(page->body, ",{\"good\":%s,\"what\":\"%s\",\"name\":", good ? "true" : "false", what);
    text_write_json(page->body, name);
    fprintf(page->body, ",\"state\":\"%s\",\"reason\":", state);
    text_write_json(page->body, reason);
    fputc('}', page->body);
}

static void list_items(const struct scene *scene, struct page *page)
{
    const struct snapshot *snapshot = scene->snapshot;

    for (unsigned i = 0; snapshot && i < snapshot->n; i++) {
        const struct backend_view *view = &snapshot->at[i];
        list_item(page, view->state == HEALTH_UP, "backend", view->backend->name, health_state_name(view->state),
                  view->reason);
    }
    list_item(page, snapshot && snapshot->chosen, "selected",
              snapshot && snapshot->chosen ? snapshot->chosen->name : "none",
              snapshot ? route_why_text(snapshot->why) : "undecided", "");
}

static void write_ready_json(const struct scene *scene, struct page *page, const char *unready)
{
    page->type = "application/json";
    fprintf(page->body, "{\"ready\":%s,\"reason\":", unready ? "false" : "true");
    text_write_json(page->body, unready ? unready : "");
    fputs(",\"items\":[{\"good\":", page->body);
    fprintf(page->body, "%s,\"what\":\"process\",\"name\":\"respgate\",\"state\":\"%s\",\"reason\":\"\"}",
            scene->draining ? "false" : "true", scene->draining ? "draining" : "running");
    list_items(scene, page);
    fputs("]}\n", page->body);
}

void page_readyz(const struct scene *scene, struct page *page)
{
    const char *unready = scene_unready(scene);

    page->status = unready ? 503 : 200;
    if (page->json) {
        write_ready_json(scene, page, unready);
        return;
    }
    if (page_asks(page, "verbose"))
        list_items(scene, page);
    fprintf(page->body, "%s%s%s\n", unready ? "not ready" : "ready", unready ? ": " : "", unready ? unready : "");
}
