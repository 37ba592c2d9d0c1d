/*
 * How a worker goes over from one backend to another, when the route says so.
 *
 *   lanes of a dead backend      are lost: what was sent is -RGUNKNOWN, what was not waits on
 *   lanes of one that lives      take no new commands, and end when they owe no reply any more
 *   sessions (pins with state)   end with -RGSTATE: no silent migration
 *   other clients                get lanes of the same user, db and RESP version on the new backend; when that holds
 *                                another data set, on_dataset_change says whether they are closed, told, or go on
 *
 * Thread: the worker's.
 */
#pragma once

#include <stdbool.h>

struct client;
struct settings;
struct snapshot;
struct worker;

/* Takes over the references; `settings` may be NULL for none. */
void switch_route(struct worker *worker, struct snapshot *snapshot, struct settings *settings);

/* A client whose backend is not in use any more has no request in flight now. False: it is closed. */
bool switch_client(struct client *client);
