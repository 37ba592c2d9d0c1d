/*
 * What a service manager is told (Type=notify): when this process is ready, reloading and ending, which backend is in
 * use and why, and that all threads turn. In the manager's eyes:
 *
 *   STARTING ── a first choice was made, or none can be made ──> READY <── reload ──> RELOADING
 *      └───────────────────────── drain ───────────────────────────┴──> STOPPING
 *
 * It is ready without a usable backend too: waiting for one would have the manager end what answers clients properly.
 * A message that is not taken is sent again until it is. Source: sd_notify(3), systemd.service(5).
 *
 * Owner and thread: main.
 */
#pragma once

#include <stdbool.h>

#include "proxy/net/notify.h"

struct event;
struct scene;

enum service_state { SERVICE_STARTING, SERVICE_READY, SERVICE_RELOADING, SERVICE_STOPPING };

struct service {
    const struct scene *scene;
    struct notify notify;
    struct event *tick; /* NULL: nobody wants to know */
    enum service_state state;
    bool owed;         /* the last message was not taken */
    char refused[200]; /* why the last reload was refused; "" when it was not */
};

/* False: no memory. */
bool service_init(struct service *service, const struct scene *scene);
void service_finish(struct service *service);

/* After the scene took up what health says. */
void service_note_route(struct service *service);
void service_note_reload(struct service *service);
/* `refusal`: "" when the configuration was taken up. */
void service_note_reloaded(struct service *service, const char *refusal);
/* After the scene says that it drains. */
void service_note_drain(struct service *service);
