/*
 * What a limiter call came to, read from its reply: whether it was admitted, and if not, why. For those who count.
 * Pure; any thread; nothing to free. Shapes: limit_reply.h and the contracts in limiter/scripts.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "limiter/limit_reply.h"
#include "limiter/script.h"

enum limit_said {
    LIMIT_SAID_NOTHING, /* a reply that admits and denies nobody: of SEM.RELEASE, LIM.RESET and the like */
    LIMIT_SAID_YES,
    LIMIT_SAID_NO,
    LIMIT_SAID_ERROR,
};

/*
 * The whole reply of that script, or one of its shape that was made here. `reason` is set for LIMIT_SAID_NO; where a
 * reply tells none it is REASON_LIMITED.
 */
enum limit_said limit_said(enum limit_script_id script, const uint8_t *reply, size_t len, enum limit_reason *reason);
