/*
 * KEYS, SCAN and RANDOMKEY while limits keep companions beside clients' keys (companion.h): what an application goes
 * through, moves or deletes by these is its own. Who asks for names that begin with rg: is told all. Pure; any thread.
 * Rule: Redis docs of each command; limiter/scripts/visible.lua.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "limiter/limit_call.h"

struct command;

/* Whether its reply names keys that it was not told. */
bool visible_concerns(const struct command *row);

/* Makes the call that is to be sent as EVAL in its place. False: it goes as it is; a mistake keeps its own error. */
bool visible_call(struct limit_call *call, const struct command *row, const struct limit_slice *args, uint32_t argc);
