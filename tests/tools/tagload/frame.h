/*
 * Where a RESP2 or RESP3 reply ends (Redis serialization protocol specification). Written apart from respgate's own
 * scanner, so that one can disprove the other. Pure; the bytes stay the caller's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Length of the first reply in p, 0 when it is incomplete, -1 when it is no reply at all. */
long frame_len(const uint8_t *p, size_t len);
