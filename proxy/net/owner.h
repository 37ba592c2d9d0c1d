/*
 * From a part of a struct to the struct that holds it: callbacks are given the part. The part's type is checked against
 * the member's. Pure.
 */
#pragma once

#include <stddef.h>

#define OWNER_OF(part, type, member)                                                                                   \
    ((type *)(void *)((char *)(1 ? (part) : &((type *)0)->member) - offsetof(type, member)))
