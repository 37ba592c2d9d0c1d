#include "proxy/watch/service.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/flow/settings.h"
#include "proxy/health/snapshot.h"
#include "proxy/net/log.h"
#include "proxy/net/loop.h"
#include "proxy/watch/scene.h"

enum {
    OWED_MS = 100,
    STATUS_LEN = 1000,    /* a manager takes 4096 bytes a message, and throws longer ones away */
    END_SPARE_MS = 10000, /* behind drain_timeout: for what is no client's */
};

/* --- words --- */

static void write_backends(const struct scene *scene, FILE *out)
{
    const struct snapshot *snapshot = scene->snapshot;
    const char *unready = scene_unready(scene);

    if (snapshot->chosen)
        fprintf(out, "backend %s because %s, %s", snapshot->chosen->name, route_why_text(snapshot->why),
                snapshot->chosen->redacted);
    else
        fprintf(out, "no backend because %s", route_why_text(snapshot->why));
    if (unready)
        fprintf(out, "; not ready: %s", unready);
    for (unsigned i = 0; i < snapshot->n; i++) {
        const struct backend_view *view = &snapshot->at[i];
        if (view->state != HEALTH_UP)
            fprintf(out, "; %s is %s: %s", view->backend->name, health_state_name(view->state), view->reason);
    }
}

static void write_status(const struct service *service, FILE *out)
{
    uint64_t stuck_ms;
    int worker = scene_stuck_worker(service->scene, &stuck_ms);

    if (worker >= 0)
        fprintf(out, "worker %d has been stuck for %llu ms; ", worker, (unsigned long long)stuck_ms);
    if (service->state == SERVICE_STOPPING)
        fputs("draining", out);
    else if (!scene_has_started(service->scene))
        fputs("the backends have no verdict yet", out);
    else
        write_backends(service->scene, out);
    if (service->refused[0])
        fprintf(out, "; the last reload was refused: %s", service->refused);
}

/* A backend's words are in there: they must not become a line of the protocol, nor make it invalid UTF-8. */
static void plain(char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            *text = ' ';
        else if ((unsigned char)*text < ' ' || (unsigned char)*text >= 0x7f)
            *text = '?';
    }
}

/* To be freed; NULL: no memory. */
static char *status_of(const struct service *service)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return NULL;
    write_status(service, out);
    fclose(out);
    if (text)
        plain(text);
    return text;
}

static void write_state(const struct service *service, char *text, size_t len)
{
    uint64_t end_ms = service->scene->settings->drain_timeout_ms + END_SPARE_MS;

    text[0] = 0;
    if (service->state == SERVICE_READY)
        snprintf(text, len, "READY=1\n");
    else if (service->state == SERVICE_RELOADING)
        snprintf(text, len, "RELOADING=1\nMONOTONIC_USEC=%lld\n", (long long)clock_now_us());
    else if (service->state == SERVICE_STOPPING)
        snprintf(text, len, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu\n", (unsigned long long)end_ms * 1000);
}

/* --- sending --- */

static void arm(struct service *service)
{
    uint64_t ms = service->owed ? OWED_MS : service->notify.watchdog_ms / 2;
    struct timeval timeout = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

    if (service->tick && ms)
        event_add(service->tick, &timeout);
}

static void say(struct service *service)
{
    char state[96], lines[STATUS_LEN + sizeof(state) + sizeof("STATUS=")];
    char *status;

    if (!service->tick)
        return;
    status = status_of(service);
    write_state(service, state, sizeof(state));
    snprintf(lines, sizeof(lines), "%sSTATUS=%.*s", state, STATUS_LEN, status ? status : "");
    free(status);
    service->owed = !notify_send(&service->notify, lines);
    arm(service);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct service *service = arg;
    uint64_t stuck_ms;

    (void)fd, (void)what;
    if (service->owed || scene_stuck_worker(service->scene, &stuck_ms) >= 0) {
        say(service);
        return;
    }
    notify_send(&service->notify, "WATCHDOG=1");
    arm(service);
}

/* --- life --- */

bool service_init(struct service *service, const struct scene *scene)
{
    *service = (struct service){.scene = scene};
    if (!notify_open(&service->notify))
        log_write(LOG_WARN, "service manager not told", LOG_TEXT("reason", "NOTIFY_SOCKET cannot be used"));
    if (service->notify.fd < 0)
        return true;
    service->tick = evtimer_new(scene->loop->base, on_tick, service);
    if (!service->tick)
        return false;
    say(service);
    return true;
}

void service_finish(struct service *service)
{
    if (service->tick)
        event_free(service->tick);
    notify_close(&service->notify);
}

void service_note_route(struct service *service)
{
    if (service->state == SERVICE_STARTING && scene_has_started(service->scene))
        service->state = SERVICE_READY;
    if (service->state == SERVICE_READY)
        say(service);
}

void service_note_reload(struct service *service)
{
    if (service->state != SERVICE_READY)
        return;
    service->state = SERVICE_RELOADING;
    say(service);
}

void service_note_reloaded(struct service *service, const char *refusal)
{
    snprintf(service->refused, sizeof(service->refused), "%s", refusal);
    if (service->state != SERVICE_RELOADING)
        return;
    service->state = SERVICE_READY;
    say(service);
}

void service_note_drain(struct service *service)
{
    service->state = SERVICE_STOPPING;
    say(service);
}
