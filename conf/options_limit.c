/* Rows of the option table: the limiter and the rules of limits. */
#include "conf/options_rows.h"

enum { COUNT_MAX = 1000000000, HOLDERS_MAX = 1000000 };

static const struct option limit_options[] = {
    {.key = "kind",
     .type = OPTION_WORD,
     .required = true,
     .words = "gcra|window|slide|slide-log|semaphore|zset|set|list|counter|incr|script",
     .initial = "",
     .example = "gcra",
     .doc = "How it counts: a token bucket (gcra), a window that starts with its first call (window), a sliding window "
            "by two counters (slide) or exactly (slide-log), or holders at one time (semaphore). The others are called "
            "by no name: they repair clients that know nothing of limits, on the keys that match. Clients that ask "
            "first (ZCARD, SCARD, LLEN, GET) and act later (ZADD, SADD, RPUSH, INCR) are kept to max (zset, set, list, "
            "counter); counters always end (incr); a script that is a limit of the client's own is taken for a command "
            "that limits (script)."},
    {.key = "match",
     .type = OPTION_TEXT,
     .max = 190,
     .initial = "",
     .doc = "The kinds that repair, and script: key: and a pattern as KEYS takes it, as in key:concurrent:*; needed. "
            "Of several "
            "rules that match a key the first one holds."},
    {.key = "mode",
     .type = OPTION_WORD,
     .words = "observe|enforce",
     .initial = "observe",
     .doc = "The kinds that repair: only look and report what goes wrong (observe), or see to it that it does not "
            "(enforce)."},
    {.key = "rate",
     .type = OPTION_RATE,
     .min = 1,
     .max = COUNT_MAX,
     .initial = "",
     .doc = "Calls admitted in each period; of a gcra, how fast they come back. Needed by every kind but semaphore."},
    {.key = "burst",
     .type = OPTION_NUMBER,
     .max = COUNT_MAX,
     .initial = "0",
     .doc = "Kind gcra: the most calls admitted at once; 0: as many as rate names."},
    {.key = "max",
     .type = OPTION_NUMBER,
     .max = HOLDERS_MAX,
     .initial = "0",
     .doc = "Kind semaphore, and zset, set, list, counter: the most holders at one time; needed to enforce. Kind incr: "
            "a count beyond it is not stored, and its client is told one more than max; 0: none."},
    {.key = "lease",
     .type = OPTION_DURATION,
     .max = 7 * 24 * HOUR,
     .initial = "0",
     .doc = "Kind semaphore: how long a holder that does not come back keeps its place; needed."},
    {.key = "ttl",
     .type = OPTION_DURATION,
     .max = 366 * 24 * HOUR,
     .initial = "0",
     .doc = "The kinds that repair: how long a key lives that its client left without an end. Needed by counter and "
            "incr to enforce."},
    {.key = "late",
     .type = OPTION_WORD,
     .words = "record|reject|error",
     .initial = "record",
     .doc =
         "Kinds zset, set, list and counter: what becomes of an act that has no place any more, as its client waited "
         "too long or did not ask: it is recorded, so that others see it; or it adds nothing, and its client is "
         "told so (reject), or an error."},
    {.key = "adopt",
     .type = OPTION_TEXT,
     .max = 190,
     .initial = "",
     .doc = "Kind script: the script's SHA1, and the command that a call of it means, with KEYS[n], ARGV[n] and "
            "ARGV[n]*number where its arguments are the call's, as in <sha1> SEM.ACQUIRE KEYS[1] ARGV[3] ARGV[5]*1000 "
            "ARGV[1]; needed. SEM.ACQUIRE, RENEW, RELEASE, CHECK, REVOKE, LIM.GCRA, WINDOW, SLIDE, REFUND, RESET or "
            "CL.THROTTLE."},
    {.key = "returns",
     .type = OPTION_TEXT,
     .max = 190,
     .initial = "1 | 0",
     .doc = "Kind script: what the script returns when it allows, and when it denies: a value or [value ...], each an "
            "integer, nil, OK, or limit, remaining, used, retry_ms, retry_s, reset_ms, reset_s, lease_ms, fence, slot, "
            "value, where the command tells it."},
    {.key = "scripts",
     .type = OPTION_WORD,
     .words = "as_is|show",
     .initial = "as_is",
     .doc =
         "Kind zset: what becomes of clients' own scripts (EVAL, EVALSHA) that are given such a key: they go as they "
         "are, and do not know of places that are reserved; or they see those as members with the score +inf (show), "
         "so that clients with a script and clients without one share a limit. Not EVAL_RO, FCALL, and scripts that "
         "begin with #!."},
    {.key = "monitors",
     .type = OPTION_TEXT,
     .max = 190,
     .initial = "",
     .doc = "Kinds zset, set, list and counter: clients that only look, by name (CLIENT SETNAME) or user, with spaces "
            "between them. Their checks tell the count and keep no place."},
    {.key = "prefix",
     .type = OPTION_TEXT,
     .max = 128,
     .initial = "",
     .doc = "What the keys on the backend begin with; the subject of a call follows. Empty: rl:NAME: with the name of "
            "the rule."},
    {.key = "shadow",
     .type = OPTION_BOOL,
     .initial = "no",
     .doc = "Count, but deny nothing: what would be denied is admitted with reason 6. Not within MULTI, where EXEC "
            "tells what the backend said."},
    {.key = "on_backend_down",
     .type = OPTION_WORD,
     .words = "deny|allow|local",
     .initial = "deny",
     .doc = "While no backend can decide: deny every call, allow every call, or count here (local, but no semaphore)."},
    {.key = "local_share",
     .type = OPTION_NUMBER,
     .min = 1,
     .max = 100,
     .initial = "100",
     .doc =
         "Percent of the limit that is granted here while on_backend_down = local counts; 33 where three of us run."},
    {.key = "deny_cache",
     .type = OPTION_BOOL,
     .initial = "no",
     .doc =
         "Answer a repeated denial here as long as the backend must deny too. Right only if nobody deletes or lowers "
         "these keys but through this process; not for kind semaphore."},
};

static const struct option limiter_options[] = {
    {.key = "on_backend_down",
     .type = OPTION_WORD,
     .words = "deny|allow|local",
     .initial = "deny",
     .doc = "What LIM.*, SEM.ACQUIRE and CL.THROTTLE are answered while no backend can decide, where no rule says so: "
            "deny every call, allow every call, or count here (local, but no semaphore)."},
    {.key = "local_share",
     .type = OPTION_NUMBER,
     .min = 1,
     .max = 100,
     .initial = "100",
     .doc = "Percent of a limit that is granted here while on_backend_down = local counts."},
    {.key = "throttle_exact",
     .type = OPTION_BOOL,
     .initial = "no",
     .doc = "CL.THROTTLE: retry_after 0 for a denied call that would be admitted in less than a millisecond, as the "
            "module redis-cell answers it; otherwise 1."},
    {.key = "memory",
     .type = OPTION_SIZE,
     .min = 65536,
     .max = INT64_C(1) << 30,
     .initial = "1MiB",
     .doc = "What each worker may spend on denials kept and, as much again each, on limits counted here, on checks "
            "remembered by the rules of repair, and on places of semaphores that are counted as held."},
};

const struct section limiter_section = {
    .name = "limiter",
    .doc = "Limiter commands that no rule applies to, and what all of them share.",
    ROWS(limiter_options),
};

const struct section limit_section = {
    .name = "limit",
    .named = true,
    .example = "api",
    .doc = "A rule that clients call by its name: LIM.TRY NAME subject. One section for each.",
    ROWS(limit_options),
};
