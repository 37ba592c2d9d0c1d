/*
 * What a parsed call asks for, in the terms of those who decide without a backend: the cache of denials, counting here,
 * and the answers while no backend is usable. Read back from the script's arguments, so that it is said once only what
 * a command means. Pure functions; what they fill points into the call. Which argument is which: limiter/scripts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "limiter/deny_cache.h"
#include "limiter/down_reply.h"
#include "limiter/limit_call.h"
#include "limiter/local_limit.h"

/* False when a denial of it is not to be kept. The epoch is the caller's to set. */
bool limit_facts_deny(const struct limit_call *call, struct deny_call *deny);

/* False when it cannot be counted here. share_percent is the caller's to set. */
bool limit_facts_local(const struct limit_call *call, struct local_call *local);

/* One for most commands, one for each limit of a LIM.MULTI; *multi says which. */
size_t limit_facts_down(const struct limit_call *call, struct down_call downs[LIMIT_MULTI_MAX], bool *multi);

/* Whether it can lower what its keys count, so that denials of them may be wrong from now on. */
bool limit_facts_lowers(const struct limit_call *call);

/* Whether it asks to be admitted, and does not only take back, release or look. */
bool limit_facts_asks(const struct limit_call *call);

/* Whether it makes a window slide: what a longer one on the same key counts, whose denials may be kept, gets less. */
bool limit_facts_slides(const struct limit_call *call);
