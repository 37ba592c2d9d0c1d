/*
 * Commands that the table does not know (modules, servers of the future): whether they may share a lane is asked of the
 * backend once per name, by COMMAND INFO. A command that it does not know either is an error and may share; one that
 * blocks, or a backend whose COMMAND says nothing, means: one command on a connection of its own, each time.
 *
 * Bounded: the first few hundred names are remembered, until a backend connection is lost. Owner and thread: a worker.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call;
struct foreign_names;
struct lane;

struct foreign_names *foreign_new(void);
void foreign_free(struct foreign_names *names);
void foreign_forget(struct foreign_names *names);

/* The backend said that the command may travel with others'. */
bool foreign_may_share(const struct foreign_names *names, const struct call *call);
/* Asks on `lane`, unless that was done before. */
void foreign_ask(struct foreign_names *names, struct lane *lane, const struct call *call);
